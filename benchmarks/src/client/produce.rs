//! Produce 7, acks=all: one batch for one partition a request, as librdkafka sends them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::{Buf, BufMut, Bytes};
use headwater_records::{Batch, Compression, Event};

use super::connection::{Connection, frame};
use super::create::put_text;

const PRODUCE: i16 = 0;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;

/// Errors of a topic that was created a moment ago and has no leader yet.
const NOT_YET: [i16; 3] = [3, 5, 6];

/// So many partitions of a new topic are waited for, each with an append of one record.
const READY_PARTITIONS_MAX: usize = 1000;

/// One request, ready to be sent any number of times: its head, and a batch that many requests share.
#[derive(Clone)]
pub struct ProduceRequest {
    head: Vec<u8>,
    batch: Bytes,
}

impl ProduceRequest {
    pub fn new(topic: &str, partition: u32, batch: &Batch) -> ProduceRequest {
        let batch = batch.bytes().clone();
        let mut body: Vec<u8> = Vec::new();
        body.put_i16(-1);
        body.put_i16(ACKS_ALL);
        body.put_i32(TIMEOUT_MS);
        body.put_i32(1);
        put_text(&mut body, topic);
        body.put_i32(1);
        body.put_i32(partition as i32);
        body.put_i32(batch.len() as i32);
        ProduceRequest {
            head: frame(PRODUCE, 7, &body, batch.len()),
            batch,
        }
    }
}

/// A batch of `events` events of `event_bytes` each, without keys, as a producer sends it that does not compress.
pub fn batch(events: usize, event_bytes: usize, timestamp_ms: i64) -> Batch {
    let event = |number: usize| Event {
        value: Some(Bytes::from(value(number, event_bytes))),
        timestamp_ms,
        ..Event::default()
    };
    let events: Vec<Event> = (0..events).map(event).collect();
    Batch::encode(&events, Compression::None, None)
}

/// Bytes that no two events share and that no file system could shrink.
fn value(number: usize, bytes: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut value: Vec<u8> = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        // Knuth's MMIX generator.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&state.to_be_bytes());
    }
    value.truncate(bytes);
    value
}

/// What a producer sends: batches of a size, to the partitions of one topic in turn, so many requests in flight.
pub struct Load {
    pub topic: String,
    pub partitions: u32,
    pub events: usize,
    pub event_bytes: usize,
    pub in_flight: usize,
}

/// One producer under way.
pub struct Producer {
    connection: Connection,
    requests: Vec<ProduceRequest>,
    next: usize,
    sent: VecDeque<Instant>,
    events: usize,
    in_flight: usize,
}

impl Load {
    pub fn open(&self, mut connection: Connection) -> anyhow::Result<Producer> {
        let filled = batch(self.events, self.event_bytes, crate::machine::now_ms());
        let requests: Vec<ProduceRequest> = (0..self.partitions)
            .map(|partition| ProduceRequest::new(&self.topic, partition, &filled))
            .collect();
        let one = batch(1, self.event_bytes, crate::machine::now_ms());
        for partition in (0..self.partitions).take(READY_PARTITIONS_MAX) {
            connection.produce_when_ready(&ProduceRequest::new(&self.topic, partition, &one))?;
        }
        Ok(Producer {
            connection,
            requests,
            next: 0,
            sent: VecDeque::new(),
            events: self.events,
            in_flight: self.in_flight,
        })
    }
}

impl Producer {
    /// Sends until as many requests as allowed are in flight, then takes one answer: how many events it acknowledged, and its latency.
    pub fn turn(&mut self) -> anyhow::Result<(usize, Duration)> {
        while self.sent.len() < self.in_flight {
            self.send()?;
        }
        self.take()
    }

    /// Sends one request.
    pub fn send(&mut self) -> anyhow::Result<()> {
        let request = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        self.sent.push_back(Instant::now());
        self.connection.send(&request.head, &request.batch)
    }

    /// Waits for the next answer until a moment; `false` where it did not begin before.
    pub fn has_answer(&mut self, until: Instant) -> anyhow::Result<bool> {
        self.connection.has_answer(until)
    }

    /// Takes the next answer.
    pub fn take(&mut self) -> anyhow::Result<(usize, Duration)> {
        let sent = self.sent.pop_front().context("a request is in flight")?;
        match error_of(self.connection.answer()?)? {
            0 => Ok((self.events, sent.elapsed())),
            error => bail!("produce was answered with Kafka's error {error}"),
        }
    }

    /// Takes the answers to everything in flight.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        while !self.sent.is_empty() {
            self.take()?;
        }
        Ok(())
    }

    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }
}

impl Connection {
    /// Sends one request and waits for its acknowledgement, again and again while the partition has no leader yet.
    pub fn produce_when_ready(&mut self, request: &ProduceRequest) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            self.send(&request.head, &request.batch)?;
            match error_of(self.answer()?)? {
                0 => return Ok(()),
                error if NOT_YET.contains(&error) && begun.elapsed() < Duration::from_secs(60) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                error => bail!("produce was answered with Kafka's error {error}"),
            }
        }
    }
}

/// The error of the one partition answered.
fn error_of(mut answer: &[u8]) -> anyhow::Result<i16> {
    // correlation id, one topic, its name, one partition, its index: then the error code
    answer.try_get_i32()?;
    answer.try_get_i32()?;
    let name_bytes = answer.try_get_i16()? as usize;
    answer = answer.get(name_bytes..).context("the answer names the topic")?;
    answer.try_get_i32()?;
    answer.try_get_i32()?;
    Ok(answer.try_get_i16()?)
}

//! Fetch 4: everything of some partitions from an offset on.

use anyhow::{Context, ensure};
use bytes::{Buf, BufMut};

use super::connection::{Connection, frame};
use super::create::put_text;

const FETCH: i16 = 1;

/// What every record batch has before its first record, and where its counts stand.
const BATCH_HEADER_BYTES: usize = 61;
const LAST_OFFSET_DELTA_AT: usize = 23;
const EVENT_COUNT_AT: usize = 57;

/// What is asked for, and from where on: it moves with each answer.
pub struct FetchRequest {
    topic: String,
    /// Each partition's next offset.
    offsets: Vec<u64>,
    pub wait_ms: i32,
    pub bytes_min: i32,
    pub bytes_max: i32,
    pub partition_bytes_max: i32,
}

/// What an answer held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetched {
    pub events: u64,
    pub bytes: u64,
}

impl FetchRequest {
    /// All partitions of a topic from their beginning; limits as librdkafka has them.
    pub fn new(topic: &str, partitions: u32) -> FetchRequest {
        FetchRequest {
            topic: topic.to_owned(),
            offsets: vec![0; partitions as usize],
            wait_ms: 500,
            bytes_min: 1,
            bytes_max: 50 * 1024 * 1024,
            partition_bytes_max: 1024 * 1024,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut body: Vec<u8> = Vec::with_capacity(64 + 16 * self.offsets.len());
        body.put_i32(-1);
        body.put_i32(self.wait_ms);
        body.put_i32(self.bytes_min);
        body.put_i32(self.bytes_max);
        body.put_u8(0);
        body.put_i32(1);
        put_text(&mut body, &self.topic);
        body.put_i32(self.offsets.len() as i32);
        for (partition, offset) in self.offsets.iter().enumerate() {
            body.put_u32(partition as u32);
            body.put_u64(*offset);
            body.put_i32(self.partition_bytes_max);
        }
        frame(FETCH, 4, &body, 0)
    }

    /// Asks in which events are expected next at the offsets reached; the answer is taken by [`FetchRequest::take`].
    pub fn send(&self, connection: &mut Connection) -> anyhow::Result<()> {
        connection.send(&self.encode(), &[])
    }

    /// Takes an answer and moves on.
    pub fn take(&mut self, connection: &mut Connection) -> anyhow::Result<Fetched> {
        let mut answer = connection.answer()?;
        let mut fetched = Fetched::default();
        // correlation id, throttle time, topics, name of the first
        answer.try_get_i32()?;
        answer.try_get_i32()?;
        if answer.try_get_i32()? == 0 {
            return Ok(fetched);
        }
        let name_bytes = answer.try_get_i16()? as usize;
        answer.advance(name_bytes);
        for _ in 0..answer.try_get_i32()? {
            let partition = answer.try_get_u32()?;
            let error = answer.try_get_i16()?;
            ensure!(error == 0, "a fetch was answered with Kafka's error {error}");
            // high watermark, last stable offset, aborted transactions
            answer.try_get_i64()?;
            answer.try_get_i64()?;
            let aborted = answer.try_get_i32()?.max(0) as usize;
            answer.advance(aborted * 16);
            let bytes = answer.try_get_i32()?.max(0) as usize;
            let records = answer.get(..bytes).context("the answer holds the records it states")?;
            answer.advance(bytes);
            fetched.bytes += bytes as u64;
            let at = self.offsets.get_mut(partition as usize);
            let at = at.context("the answer is about a partition that was asked for")?;
            fetched.events += walk(records, at)?;
        }
        Ok(fetched)
    }

    /// Sends, and takes the answer.
    pub fn fetch(&mut self, connection: &mut Connection) -> anyhow::Result<Fetched> {
        self.send(connection)?;
        self.take(connection)
    }
}

/// Goes over whole batches, moves `at` behind the last one, and counts events.
fn walk(mut records: &[u8], at: &mut u64) -> anyhow::Result<u64> {
    let mut events = 0;
    while records.len() >= BATCH_HEADER_BYTES {
        let field =
            |from: usize| u32::from_be_bytes([records[from], records[from + 1], records[from + 2], records[from + 3]]);
        let length = 12 + field(8) as usize;
        if records.len() < length {
            break;
        }
        let base = u64::from(field(0)) << 32 | u64::from(field(4));
        let next = base + u64::from(field(LAST_OFFSET_DELTA_AT)) + 1;
        // A batch is given whole, also where the offset asked for is inside.
        ensure!(
            base <= *at && next > *at,
            "offset {at} was asked for, {base}..{next} came"
        );
        events += u64::from(field(EVENT_COUNT_AT));
        *at = next;
        records = &records[length..];
    }
    Ok(events)
}

//! Both versions of the transaction protocol, request by request: which codes a client gets, and what readers see then.

#[expect(dead_code, reason = "other tests use all of it")]
mod door;
mod raw;

use bytes::{BufMut, BytesMut};
use door::Door;
use headwater_eventlog::StreamSettings;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event, Producer};
use raw::{ask, connect, frame};
use tokio::net::TcpStream;

const PRODUCE: i16 = 0;
const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;

const ID: &str = "orders-1";
const TOPIC: &str = "t";

/// The name of an error code, as the tables below say it.
fn said(code: i16) -> &'static str {
    match code {
        0 => "fine",
        28 => "InvalidCommitOffsetSize",
        45 => "OutOfOrderSequenceNumber",
        47 => "InvalidProducerEpoch",
        48 => "InvalidTxnState",
        49 => "InvalidProducerIdMapping",
        59 => "UnknownProducerId",
        90 => "ProducerFenced",
        120 => "TransactionAbortable",
        _ => "another code",
    }
}

/// A body under way; flexible ones have lengths in varints, here of one or two bytes, and end each struct with tagged fields.
struct Body {
    out: BytesMut,
    flexible: bool,
}

impl Body {
    fn new(flexible: bool) -> Body {
        let mut out = BytesMut::new();
        if flexible {
            // The header's tagged fields.
            out.put_u8(0);
        }
        Body { out, flexible }
    }

    fn length(&mut self, length: usize, bytes: usize) {
        match (self.flexible, bytes) {
            (true, _) if length + 1 < 128 => self.out.put_u8(length as u8 + 1),
            (true, _) => {
                self.out.put_u8((length + 1) as u8 | 0x80);
                self.out.put_u8(((length + 1) >> 7) as u8);
            }
            (false, 2) => self.out.put_i16(length as i16),
            (false, _) => self.out.put_i32(length as i32),
        }
    }

    fn text(&mut self, text: &str) {
        self.length(text.len(), 2);
        self.out.put_slice(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.length(count, 4);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len(), 4);
        self.out.put_slice(bytes);
    }

    /// Ends so many structs.
    fn end(&mut self, structs: usize) {
        if self.flexible {
            self.out.put_bytes(0, structs);
        }
    }
}

fn i16_at(answer: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

fn i64_at(answer: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(answer[at..at + 8].try_into().unwrap())
}

/// A producer, as it tells its story: each step's answer is a word.
struct Told {
    door: Door,
    socket: TcpStream,
    who: (i64, i16),
    sequence: i32,
}

impl Told {
    async fn init(&mut self) -> &'static str {
        let mut body = Body::new(true);
        body.text(ID);
        body.out.put_i32(60_000);
        body.out.put_i64(-1);
        body.out.put_i16(-1);
        body.end(1);
        let answer = ask(&mut self.socket, &frame(INIT_PRODUCER_ID, 4, &body.out)).await;
        // Header's tags, throttle time, error code, producer id, epoch.
        self.who = (i64_at(&answer, 7), i16_at(&answer, 15));
        self.sequence = 0;
        said(i16_at(&answer, 5))
    }

    async fn add(&mut self, version: i16) -> &'static str {
        let flexible = version >= 3;
        let mut body = Body::new(flexible);
        body.text(ID);
        body.out.put_i64(self.who.0);
        body.out.put_i16(self.who.1);
        body.count(1);
        body.text(TOPIC);
        body.count(1);
        body.out.put_i32(0);
        body.end(2);
        let answer = ask(&mut self.socket, &frame(ADD_PARTITIONS_TO_TXN, version, &body.out)).await;
        // The throttle time, one topic, its name, one partition, its number.
        let at = match flexible {
            true => 1 + 4 + 1 + 1 + TOPIC.len() + 1 + 4,
            false => 4 + 4 + 2 + TOPIC.len() + 4 + 4,
        };
        said(i16_at(&answer, at))
    }

    /// Commits the offset of the one partition for a group, with so much text beside it; the group is added before.
    async fn commit_offset(&mut self, group: &str, text_bytes: usize) -> &'static str {
        let mut body = Body::new(false);
        body.text(ID);
        body.out.put_i64(self.who.0);
        body.out.put_i16(self.who.1);
        body.text(group);
        let added = ask(&mut self.socket, &frame(ADD_OFFSETS_TO_TXN, 2, &body.out)).await;
        assert_eq!(said(i16_at(&added, 4)), "fine");
        let mut body = Body::new(false);
        body.text(ID);
        body.text(group);
        body.out.put_i64(self.who.0);
        body.out.put_i16(self.who.1);
        body.count(1);
        body.text(TOPIC);
        body.count(1);
        body.out.put_i32(0);
        body.out.put_i64(7);
        body.out.put_i32(-1);
        body.text(&"m".repeat(text_bytes));
        let answer = ask(&mut self.socket, &frame(TXN_OFFSET_COMMIT, 2, &body.out)).await;
        said(i16_at(&answer, 4 + 4 + 2 + TOPIC.len() + 4 + 4))
    }

    async fn produce(&mut self, version: i16, transactional: bool) -> &'static str {
        let producer = Producer {
            id: self.who.0,
            epoch: self.who.1,
            base_sequence: self.sequence,
        };
        let events = [Event::default()];
        let batch = match transactional {
            true => Batch::encode_transactional(&events, Compression::None, producer),
            false => Batch::encode(&events, Compression::None, Some(producer)),
        };
        let mut body = Body::new(true);
        body.text(ID);
        body.out.put_i16(-1);
        body.out.put_i32(1_000);
        body.count(1);
        body.text(TOPIC);
        body.count(1);
        body.out.put_i32(0);
        body.blob(batch.bytes());
        body.end(3);
        let answer = ask(&mut self.socket, &frame(PRODUCE, version, &body.out)).await;
        let code = i16_at(&answer, 1 + 1 + 1 + TOPIC.len() + 1 + 4);
        self.sequence += i32::from(code == 0);
        said(code)
    }

    /// Ends the transaction; from version 5 on the producer is who the answer says.
    async fn end(&mut self, version: i16, committed: bool) -> &'static str {
        let flexible = version >= 3;
        let mut body = Body::new(flexible);
        body.text(ID);
        body.out.put_i64(self.who.0);
        body.out.put_i16(self.who.1);
        body.out.put_u8(u8::from(committed));
        body.end(1);
        let answer = ask(&mut self.socket, &frame(END_TXN, version, &body.out)).await;
        let at = usize::from(flexible) + 4;
        let code = i16_at(&answer, at);
        if version >= 5 && code == 0 {
            self.who = (i64_at(&answer, at + 2), i16_at(&answer, at + 10));
            self.sequence = 0;
        }
        said(code)
    }

    fn offsets(&self) -> (u64, u64) {
        let offsets = self.door.log.offsets(TOPIC, 0).unwrap();
        (offsets.stable, offsets.high_watermark)
    }
}

async fn told(folder: &std::path::Path) -> Told {
    let door = Door::open(folder, KafkaOptions::default()).await;
    let log = door.log.clone();
    let creating = tokio::task::spawn_blocking(move || log.create_stream(TOPIC, 1, StreamSettings::default()));
    creating.await.unwrap().unwrap();
    let socket = connect(&door).await;
    let mut told = Told {
        door,
        socket,
        who: (-1, -1),
        sequence: 0,
    };
    assert_eq!(told.init().await, "fine");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn before_kip_890_partitions_are_added_first_and_the_epoch_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    let who = told.who;
    assert_eq!(told.produce(10, true).await, "InvalidTxnState");
    assert_eq!(told.produce(11, true).await, "TransactionAbortable");
    assert_eq!(told.add(3).await, "fine");
    assert_eq!(told.produce(10, true).await, "fine");
    assert_eq!(told.produce(10, false).await, "InvalidTxnState");
    assert_eq!(told.offsets(), (0, 1));
    assert_eq!(told.end(4, true).await, "fine");
    assert_eq!((told.who, told.offsets()), (who, (2, 2)));
    assert_eq!(told.end(4, true).await, "fine");
    assert_eq!(told.end(4, false).await, "InvalidTxnState");
    assert_eq!(told.produce(10, true).await, "InvalidTxnState");
    assert_eq!(told.add(3).await, "fine");
    assert_eq!(told.produce(10, true).await, "fine");
    assert_eq!(told.end(4, false).await, "fine");
    assert_eq!(told.offsets(), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kip_890_the_first_batch_adds_and_each_end_bumps() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    let (producer_id, epoch) = told.who;
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.offsets(), (0, 2));
    assert_eq!(told.end(5, true).await, "fine");
    assert_eq!((told.who, told.offsets()), ((producer_id, epoch + 1), (3, 3)));
    // A batch that comes late, of the transaction that ended, is refused.
    told.who = (producer_id, epoch);
    assert_eq!(told.produce(12, true).await, "InvalidProducerEpoch");
    assert_eq!(told.add(3).await, "ProducerFenced");
    assert_eq!(told.add(1).await, "InvalidProducerEpoch");
    // The answer was lost: it is given again.
    assert_eq!(told.end(5, true).await, "fine");
    assert_eq!(told.who, (producer_id, epoch + 1));
    assert_eq!(told.end(5, true).await, "InvalidTxnState");
    assert_eq!(told.end(5, false).await, "fine");
    assert_eq!(told.who, (producer_id, epoch + 2));
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.end(5, false).await, "fine");
    assert_eq!(told.offsets(), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kip_890_an_epoch_begins_with_the_first_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    told.sequence = 3;
    assert_eq!(told.produce(12, true).await, "OutOfOrderSequenceNumber");
    // Nothing was begun by it.
    assert_eq!((told.end(5, true).await, told.offsets()), ("InvalidTxnState", (0, 0)));
    told.sequence = 0;
    assert_eq!(told.produce(12, true).await, "fine");
    told.sequence = 3;
    assert_eq!(told.produce(12, true).await, "OutOfOrderSequenceNumber");
    assert_eq!(told.end(5, true).await, "fine");
    told.sequence = 1;
    assert_eq!(told.produce(12, true).await, "OutOfOrderSequenceNumber");
    told.sequence = 0;
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.end(5, true).await, "fine");
    assert_eq!(told.offsets(), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_added_before_begins_with_the_first_sequence_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    assert_eq!(told.add(3).await, "fine");
    told.sequence = 3;
    assert_eq!(told.produce(12, true).await, "OutOfOrderSequenceNumber");
    told.sequence = 0;
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.offsets(), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_a_plain_batch_joins_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    assert_eq!(told.produce(12, false).await, "fine");
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.offsets(), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_its_partition_was_added_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    assert_eq!(told.produce(11, true).await, "TransactionAbortable");
    assert_eq!(told.add(3).await, "fine");
    told.sequence = 3;
    assert_eq!(told.produce(11, true).await, "OutOfOrderSequenceNumber");
    told.sequence = 0;
    assert_eq!(told.produce(11, true).await, "fine");
    assert_eq!(told.produce(11, true).await, "fine");
    assert_eq!(told.offsets(), (0, 2));
}

/// librdkafka counts on from the first event that it gave up, also where that one had come and only its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_has_the_number_of_one_taken_back_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    assert_eq!(told.add(3).await, "fine");
    assert_eq!(told.produce(11, true).await, "fine");
    assert_eq!(told.end(4, false).await, "fine");
    assert_eq!(told.add(3).await, "fine");
    told.sequence = 0;
    assert_eq!(told.produce(11, true).await, "UnknownProducerId");
    assert_eq!(told.end(4, false).await, "fine");
    // As clients do then.
    assert_eq!(told.init().await, "fine");
    assert_eq!(told.add(3).await, "fine");
    assert_eq!(told.produce(11, true).await, "fine");
    assert_eq!(told.end(4, true).await, "fine");
    // Two events, and three ends.
    assert_eq!(told.offsets(), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_are_too_many_for_a_transaction_are_no_older_clients_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    let mut answer = "fine";
    for number in 0..400 {
        answer = told.commit_offset(&format!("group-{number}"), 4_000).await;
        if answer != "fine" {
            break;
        }
    }
    assert_eq!(answer, "InvalidCommitOffsetSize");
    assert_eq!(told.end(2, false).await, "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_fences_and_nobody_else_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = told(folder.path()).await;
    let before = told.who;
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.init().await, "fine");
    assert_eq!(told.offsets(), (2, 2));
    let now = told.who;
    told.who = before;
    assert_eq!(told.end(5, true).await, "ProducerFenced");
    assert_eq!(told.end(1, true).await, "InvalidProducerEpoch");
    assert_eq!(told.produce(12, true).await, "InvalidProducerEpoch");
    told.who = (before.0 + 1_000, 0);
    assert_eq!(told.produce(12, true).await, "InvalidProducerIdMapping");
    told.who = now;
    assert_eq!(told.produce(12, true).await, "fine");
    assert_eq!(told.end(5, true).await, "fine");
    assert_eq!(told.offsets(), (4, 4));
}

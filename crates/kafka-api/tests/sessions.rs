//! Fetch sessions over a socket: a client names its partitions once, and hears of what changed.

mod door;
mod raw;

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use door::Door;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event};
use raw::{ask, connect, frame};
use tokio::net::TcpStream;

const FETCH: i16 = 1;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;

/// What a Fetch of version 7 says: session, epoch, partitions of `t` with their offsets, partitions to forget.
struct Fetch<'a> {
    session: i32,
    epoch: i32,
    wait_ms: i32,
    bytes_max: i32,
    partitions: &'a [(i32, i64)],
    forgotten: &'a [i32],
}

impl Fetch<'_> {
    fn frame(&self) -> Vec<u8> {
        let mut body = BytesMut::new();
        for field in [-1, self.wait_ms, 1, self.bytes_max] {
            body.put_i32(field);
        }
        body.put_i8(0);
        body.put_i32(self.session);
        body.put_i32(self.epoch);
        let topic = |body: &mut BytesMut, count: usize| {
            body.put_i32(i32::from(count > 0));
            if count > 0 {
                body.put_i16(1);
                body.put_u8(b't');
                body.put_i32(count as i32);
            }
        };
        topic(&mut body, self.partitions.len());
        for (partition, offset) in self.partitions {
            body.put_i32(*partition);
            body.put_i64(*offset);
            body.put_i64(-1);
            body.put_i32(1 << 20);
        }
        topic(&mut body, self.forgotten.len());
        for partition in self.forgotten {
            body.put_i32(*partition);
        }
        frame(FETCH, 7, &body)
    }
}

/// An answer: the error, the session, and of each partition in it the number, the error, the high watermark and the values.
type Answer = (i16, i32, Vec<(i32, i16, i64, Vec<String>)>);

async fn fetch(socket: &mut TcpStream, request: Fetch<'_>) -> Answer {
    let mut answer = Bytes::from(ask(socket, &request.frame()).await);
    answer.advance(4);
    let (code, session) = (answer.get_i16(), answer.get_i32());
    let mut partitions: Vec<(i32, i16, i64, Vec<String>)> = Vec::new();
    for _ in 0..answer.get_i32() {
        answer.advance(2 + 1);
        for _ in 0..answer.get_i32() {
            let (partition, code, high_watermark) = (answer.get_i32(), answer.get_i16(), answer.get_i64());
            answer.advance(8 + 8 + 4);
            let length = answer.get_i32().max(0) as usize;
            let mut records = answer.split_to(length);
            let mut values: Vec<String> = Vec::new();
            while !records.is_empty() {
                for (_, event) in Batch::take(&mut records).unwrap().events().unwrap() {
                    values.push(String::from_utf8(event.value.unwrap().to_vec()).unwrap());
                }
            }
            partitions.push((partition, code, high_watermark, values));
        }
    }
    assert!(answer.is_empty(), "{} bytes are left", answer.len());
    (code, session, partitions)
}

async fn append(door: &Door, partition: u32, value: &'static str) {
    let event = Event {
        value: Some(Bytes::from_static(value.as_bytes())),
        ..Event::default()
    };
    let part = headwater_eventlog::Part {
        stream: "t".to_owned(),
        partition,
        batch: Batch::encode(&[event], Compression::None, None),
    };
    let append = headwater_eventlog::Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    door.log.append(append).await.unwrap();
}

async fn open(folder: &std::path::Path, options: KafkaOptions) -> Door {
    let door = Door::open(folder, options).await;
    let log = door.log.clone();
    let created =
        tokio::task::spawn_blocking(move || log.create_stream("t", 3, headwater_eventlog::StreamSettings::default()))
            .await;
    created.unwrap().unwrap();
    door
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_tells_news_alone_and_nobody_starves() {
    let folder = tempfile::tempdir().unwrap();
    let door = open(folder.path(), KafkaOptions::default()).await;
    let mut socket = connect(&door).await;
    let quiet = |epoch: i32, session: i32| Fetch {
        session,
        epoch,
        wait_ms: 0,
        bytes_max: 1,
        partitions: &[],
        forgotten: &[],
    };
    append(&door, 0, "a").await;
    append(&door, 1, "b").await;
    let first = Fetch {
        partitions: &[(0, 0), (1, 0), (2, 0)],
        ..quiet(0, 0)
    };
    let (code, session, told) = fetch(&mut socket, first).await;
    assert!(code == 0 && session > 0, "{code} {session}");
    // One batch fits: the others are named with their offsets.
    let none = Vec::new;
    assert_eq!(
        told,
        [(0, 0, 1, vec!["a".to_owned()]), (1, 0, 1, none()), (2, 0, 0, none())]
    );
    // The offset was not moved, yet the next answer begins with another partition.
    let (_, same, told) = fetch(&mut socket, quiet(1, session)).await;
    assert_eq!((same, told), (session, vec![(1, 0, 1, vec!["b".to_owned()])]));
    let (_, _, told) = fetch(&mut socket, quiet(2, session)).await;
    assert_eq!(told, [(0, 0, 1, vec!["a".to_owned()])]);
    // With its offsets moved, nothing is news, and the request waits.
    let moved = Fetch {
        partitions: &[(0, 1), (1, 1)],
        wait_ms: 50,
        ..quiet(3, session)
    };
    assert_eq!(fetch(&mut socket, moved).await, (0, session, vec![]));
    let waiting = Fetch {
        wait_ms: 120_000,
        forgotten: &[1],
        ..quiet(4, session)
    };
    let appending = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&door, 1, "forgotten").await;
        append(&door, 2, "c").await;
    };
    let (answer, ()) = tokio::join!(fetch(&mut socket, waiting), appending);
    assert_eq!(answer, (0, session, vec![(2, 0, 1, vec!["c".to_owned()])]));
    // A partition that is not there is told each time, with its error.
    let absent = Fetch {
        partitions: &[(7, 0), (2, 1)],
        ..quiet(5, session)
    };
    assert_eq!(fetch(&mut socket, absent).await.2, [(7, 3, -1, vec![])]);
    assert_eq!(fetch(&mut socket, quiet(6, session)).await.2, [(7, 3, -1, vec![])]);
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sessions_and_epochs_are_named_and_places_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        fetch_sessions_max: 1,
        ..KafkaOptions::default()
    };
    let door = open(folder.path(), options).await;
    let (mut one, mut two) = (connect(&door).await, connect(&door).await);
    let full = || Fetch {
        session: 0,
        epoch: 0,
        wait_ms: 0,
        bytes_max: 1_000,
        partitions: &[(0, 0)],
        forgotten: &[],
    };
    let (_, session, _) = fetch(&mut one, full()).await;
    assert!(session > 0);
    // There is no place for a second one: everything is answered, without a session.
    let (code, none, told) = fetch(&mut two, full()).await;
    assert_eq!((code, none, told.len()), (0, 0, 1));
    let check = async |socket: &mut TcpStream, session: i32, epoch: i32, expected: i16| {
        let request = Fetch {
            session,
            epoch,
            partitions: &[],
            ..full()
        };
        let (code, none, told) = fetch(socket, request).await;
        assert_eq!((code, none, told.len()), (expected, 0, 0), "{session} {epoch}");
    };
    check(&mut two, session + 1, 1, FETCH_SESSION_ID_NOT_FOUND).await;
    check(&mut two, session, 2, INVALID_FETCH_SESSION_EPOCH).await;
    // The last request of a session gives its place back.
    check(&mut one, session, -1, 0).await;
    check(&mut one, session, 1, FETCH_SESSION_ID_NOT_FOUND).await;
    assert!(fetch(&mut two, full()).await.1 > 0);
    drop((one, two));
    door.close().await;
}

//! Share groups over sockets: what a member held is free when its connection is closed.

mod door;
mod raw;

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, BytesMut};
use door::Door;
use headwater_eventlog::{Append, Part, StreamSettings};
use headwater_kafka_api::{KafkaOptions, ShareBegins};
use headwater_records::{Batch, Compression, Event};
use raw::{ask, connect, frame};
use tokio::net::TcpStream;

const SHARE_GROUP_HEARTBEAT: i16 = 76;
const SHARE_FETCH: i16 = 78;

/// What a member is given: first and last offset, and how often it was.
type Runs = Vec<(i64, i64, i16)>;
/// A text, or the number of an array's elements, is one more than its length here.
fn text(body: &mut BytesMut, text: &str) {
    body.put_u8(text.len() as u8 + 1);
    body.put_slice(text.as_bytes());
}

/// The fields that every structure may have beside: none.
const NO_MORE: u8 = 0;

/// ShareFetch of version 1, which begins a session with one partition; what the member is given.
async fn fetch(socket: &mut TcpStream, member: &str, topic: u128) -> Runs {
    let mut body = BytesMut::from(&[NO_MORE][..]);
    text(&mut body, "g");
    text(&mut body, member);
    let (epoch, wait_ms, bytes_min, bytes_max, events_max) = (0, 200, 1, 1 << 20, 100);
    for number in [epoch, wait_ms, bytes_min, bytes_max, events_max, events_max] {
        body.put_i32(number);
    }
    body.put_u8(1 + 1);
    body.put_u128(topic);
    body.put_u8(1 + 1);
    body.put_i32(0);
    // No verdicts; the ends of the partition and the topic; no topic that is forgotten; the end.
    body.put_slice(&[1, NO_MORE, NO_MORE, 1, NO_MORE]);
    let answer = ask(socket, &frame(SHARE_FETCH, 1, &body)).await;
    // Behind the head and the time for which the client is not heard.
    let mut answer = &answer[1 + 4..];
    assert_eq!(answer.get_i16(), 0);
    skip(&mut answer);
    answer.advance(4);
    let mut runs = Runs::new();
    for _ in 1..answer.get_u8() {
        answer.advance(16);
        for _ in 1..answer.get_u8() {
            answer.advance(4);
            for _ in ["the partition", "the verdicts"] {
                assert_eq!(answer.get_i16(), 0);
                skip(&mut answer);
            }
            // The leader.
            answer.advance(4 + 4 + 1);
            skip(&mut answer);
            for _ in 1..answer.get_u8() {
                runs.push((answer.get_i64(), answer.get_i64(), answer.get_i16()));
                answer.advance(1);
            }
            answer.advance(1);
        }
        answer.advance(1);
    }
    runs
}

/// A text or bytes, fewer than 127 of them.
fn skip(answer: &mut &[u8]) {
    let length = answer.get_u8();
    answer.advance(usize::from(length.saturating_sub(1)));
}

/// ShareGroupHeartbeat of version 1: a member joins, for the topic t.
async fn join(socket: &mut TcpStream, member: &str) {
    let mut body = BytesMut::from(&[NO_MORE][..]);
    text(&mut body, "g");
    text(&mut body, member);
    body.put_i32(0);
    // No rack, one topic.
    body.put_slice(&[0, 1 + 1]);
    text(&mut body, "t");
    body.put_u8(NO_MORE);
    let answer = ask(socket, &frame(SHARE_GROUP_HEARTBEAT, 1, &body)).await;
    assert_eq!(answer[1 + 4..][..2], [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_held_is_free_when_its_connection_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        share_begins: ShareBegins::Earliest,
        share_lock: Duration::from_secs(3_600),
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options).await;
    let log = door.log.clone();
    let creating = tokio::task::spawn_blocking(move || log.create_stream("t", 1, StreamSettings::default()).unwrap());
    let topic = creating.await.unwrap().id;
    let part = Part {
        stream: "t".to_owned(),
        partition: 0,
        batch: Batch::encode(&[Event::default()], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    door.log.append(append).await.unwrap();
    let (mut one, mut two) = (connect(&door).await, connect(&door).await);
    join(&mut one, "one").await;
    join(&mut two, "two").await;
    assert_eq!(fetch(&mut one, "one", topic).await, [(0, 0, 1)]);
    assert_eq!(fetch(&mut two, "two", topic).await, []);
    drop(one);
    let since = Instant::now();
    let given = loop {
        let given = fetch(&mut two, "two", topic).await;
        if !given.is_empty() || since.elapsed() > Duration::from_secs(120) {
            break given;
        }
    };
    assert_eq!(given, [(0, 0, 2)]);
    door.close().await;
}

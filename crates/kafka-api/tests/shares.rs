//! Share groups over sockets: what a member held that goes without a word is given to others.

mod door;
mod raw;

use std::collections::BTreeSet;
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
    fetch_in(socket, member, topic, 0).await
}

/// The same in a session of which this is the so manieth fetch: the first one names the partition.
async fn fetch_in(socket: &mut TcpStream, member: &str, topic: u128, epoch: i32) -> Runs {
    let mut body = BytesMut::from(&[NO_MORE][..]);
    text(&mut body, "g");
    text(&mut body, member);
    let (wait_ms, bytes_min, bytes_max, events_max) = (200, 1, 1 << 20, 100);
    for number in [epoch, wait_ms, bytes_min, bytes_max, events_max, events_max] {
        body.put_i32(number);
    }
    if epoch == 0 {
        body.put_u8(1 + 1);
        body.put_u128(topic);
        body.put_u8(1 + 1);
        body.put_i32(0);
        // No verdicts; the ends of the partition and the topic.
        body.put_slice(&[1, NO_MORE, NO_MORE]);
    } else {
        body.put_u8(1);
    }
    // No topic that is forgotten; the end.
    body.put_slice(&[1, NO_MORE]);
    let answer = ask(socket, &frame(SHARE_FETCH, 1, &body)).await;
    // Behind the head and the time for which the client is not heard.
    let mut answer = &answer[1 + 4..];
    assert_eq!(answer.get_i16(), 0);
    skip(&mut answer);
    answer.advance(4);
    let mut runs = Runs::new();
    for _ in 0..count(&mut answer) {
        answer.advance(16);
        for _ in 0..count(&mut answer) {
            answer.advance(4);
            for _ in ["the partition", "the verdicts"] {
                assert_eq!(answer.get_i16(), 0);
                skip(&mut answer);
            }
            // The leader.
            answer.advance(4 + 4 + 1);
            skip(&mut answer);
            for _ in 0..count(&mut answer) {
                runs.push((answer.get_i64(), answer.get_i64(), answer.get_i16()));
                answer.advance(1);
            }
            answer.advance(1);
        }
        answer.advance(1);
    }
    runs
}

/// How many bytes or elements follow; none where there is nothing.
fn count(answer: &mut &[u8]) -> usize {
    let mut count = 0;
    for shift in (0..).step_by(7) {
        let byte = answer.get_u8();
        count |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    count.saturating_sub(1)
}

/// A text, or bytes.
fn skip(answer: &mut &[u8]) {
    let length = count(answer);
    answer.advance(length);
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

/// A topic t with one partition and so many batches of an event each; its id.
async fn topic_of(door: &Door, events: u64) -> u128 {
    let log = door.log.clone();
    let creating = tokio::task::spawn_blocking(move || log.create_stream("t", 1, StreamSettings::default()).unwrap());
    let topic = creating.await.unwrap().id;
    for _ in 0..events {
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
    }
    topic
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
    let topic = topic_of(&door, 1).await;
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

/// Members that take events and are never heard of again, some with their connection and some without it closed: what they took is given to others once the time
/// for it is over, or theirs, and none of it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_members_took_who_vanished_is_given_again() {
    const EVENTS: u64 = 400;
    let (soon, late) = (Duration::from_secs(1), Duration::from_secs(3_600));
    for (share_lock, group_share_session) in [(soon, late), (late, soon)] {
        let folder = tempfile::tempdir().unwrap();
        let options = KafkaOptions {
            share_begins: ShareBegins::Earliest,
            share_deliveries_max: 100,
            share_lock,
            group_share_session,
            ..KafkaOptions::default()
        };
        let door = Door::open(folder.path(), options).await;
        let topic = topic_of(&door, EVENTS).await;
        let mut silent: Vec<TcpStream> = Vec::new();
        let mut taken: BTreeSet<i64> = BTreeSet::new();
        for number in 0..8 {
            let (mut socket, member) = (connect(&door).await, format!("vanishes {number}"));
            join(&mut socket, &member).await;
            let given = fetch(&mut socket, &member, topic).await;
            taken.extend(given.iter().flat_map(|(first, last, _)| *first..=*last));
            if number % 2 == 0 {
                silent.push(socket);
            }
        }
        assert!(taken.len() as u64 > EVENTS / 2, "they took {}", taken.len());
        let mut socket = connect(&door).await;
        join(&mut socket, "stays").await;
        let mut seen: BTreeSet<i64> = BTreeSet::new();
        let since = Instant::now();
        for epoch in 0.. {
            let given = fetch_in(&mut socket, "stays", topic, epoch).await;
            seen.extend(given.iter().flat_map(|(first, last, _)| *first..=*last));
            if seen.len() as u64 == EVENTS {
                break;
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{} of {EVENTS}", seen.len());
        }
        drop(silent);
        door.close().await;
    }
}

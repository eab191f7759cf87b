//! Connections that behave badly: readers that do not read, and those that do nothing.

mod door;
mod raw;

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use door::Door;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event};
use raw::{answer, ask, connect, frame};
use tokio::io::AsyncWriteExt;

const FETCH: i16 = 1;
const API_VERSIONS: i16 = 18;

/// A number of `/proc/self/status` (in KiB there), in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// A Fetch of version 4 from the beginning of `t/0`.
fn fetch(bytes_max: i32) -> Vec<u8> {
    let mut body = BytesMut::new();
    for field in [-1, 0, 1, bytes_max] {
        body.put_i32(field);
    }
    body.put_i8(0);
    body.put_i32(1);
    body.put_i16(1);
    body.put_u8(b't');
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(0);
    body.put_i32(bytes_max);
    frame(FETCH, 4, &body)
}

async fn fill(door: &Door, bytes: usize) {
    let log = door.log.clone();
    let created =
        tokio::task::spawn_blocking(move || log.create_stream("t", 1, headwater_eventlog::StreamSettings::default()))
            .await;
    created.unwrap().unwrap();
    let event = Event {
        value: Some(vec![b'x'; 1_000_000].into()),
        ..Event::default()
    };
    let batch = Batch::encode(&[event], Compression::None, None);
    for _ in 0..bytes / 1_000_000 {
        let part = headwater_eventlog::Part {
            stream: "t".to_owned(),
            partition: 0,
            batch: batch.clone(),
        };
        let append = headwater_eventlog::Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        };
        door.log.append(append).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_keeps_one_answer_waiting_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    fill(&door, 20_000_000).await;
    let mut quick = connect(&door).await;
    ask(&mut quick, &fetch(20_000_000)).await;
    let before = resident_bytes();
    // 200 answers of 20 MB would be 4 GB.
    let requests: Vec<u8> = (0..200).flat_map(|_| fetch(20_000_000)).collect();
    let mut slow = connect(&door).await;
    slow.write_all(&requests).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 200_000_000,
        "{grown} bytes wait for a reader that does not read"
    );
    // Others are answered meanwhile; and the slow one is, as far as it reads.
    assert!(ask(&mut quick, &fetch(20_000_000)).await.len() > 19_000_000);
    for _ in 0..5 {
        assert!(answer(&mut slow).await.len() > 19_000_000);
    }
    drop((quick, slow));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_after_the_time_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let idle_max = Duration::from_millis(600);
    let options = KafkaOptions {
        connection_idle_max: idle_max,
        ..KafkaOptions::default()
    };
    let door = Door::open(folder.path(), options).await;
    let versions = frame(API_VERSIONS, 0, &[]);
    // Whoever asks again in time stays: on a busy machine that takes more than one try.
    let (socket, last) = loop {
        let mut socket = connect(&door).await;
        if let Some(last) = in_time(&mut socket, &versions, idle_max).await {
            break (socket, last);
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(120), socket.peek(&mut [0])).await;
    assert!(matches!(closed, Ok(Ok(0))), "{closed:?}");
    assert!(last.elapsed() >= idle_max, "{:?}", last.elapsed());
    door.close().await;
}

/// Asks five times, so that longer than `idle_max` goes by in all and less between two; when the last was asked. `None` where this machine was too late.
async fn in_time(socket: &mut tokio::net::TcpStream, versions: &[u8], idle_max: Duration) -> Option<Instant> {
    let mut last = Instant::now();
    for _ in 0..5 {
        tokio::time::sleep(idle_max / 3).await;
        let asked = Instant::now();
        if last.elapsed() > idle_max * 2 / 3 {
            return None;
        }
        ask(socket, versions).await;
        last = asked;
    }
    Some(last)
}

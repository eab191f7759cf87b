//! A batch that is damaged on the disk: no byte of it is sent, and who asks again is told.

mod door;
mod raw;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, BytesMut};
use door::Door;
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event};
use raw::{ask, connect, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FETCH: i16 = 1;
const KAFKA_STORAGE_ERROR: i16 = 56;

/// Batches in the log, and which of them is damaged.
const BATCHES: usize = 5;
const DAMAGED: usize = 3;

/// A Fetch of version 4 of everything of `t/0` from an offset on.
fn fetch(offset: usize) -> Vec<u8> {
    let mut body = BytesMut::new();
    for field in [-1, 0, 1, 50_000_000] {
        body.put_i32(field);
    }
    body.put_i8(0);
    body.put_i32(1);
    body.put_i16(1);
    body.put_u8(b't');
    body.put_i32(1);
    body.put_i32(0);
    body.put_i64(offset as i64);
    body.put_i32(50_000_000);
    frame(FETCH, 4, &body)
}

/// The error and the records of the one partition answered.
fn opened(answer: &[u8]) -> (i16, &[u8]) {
    // throttle time, topics, name, partitions, index; then high watermark, last stable offset, aborted transactions
    let mut rest = &answer[4 + 4 + 3 + 4 + 4..];
    let error = rest.get_i16();
    rest.advance(8 + 8 + 4);
    let length = rest.get_i32() as usize;
    (error, &rest[..length])
}

/// Fills `t/0`, and gives the batches as they stand in the log.
async fn fill(folder: &Path) -> Vec<Batch> {
    let door = Door::open(folder, KafkaOptions::default()).await;
    let log = door.log.clone();
    let filling = tokio::task::spawn_blocking(move || {
        let settings = headwater_eventlog::StreamSettings::default();
        log.create_stream("t", 1, settings).unwrap();
        for number in 0..BATCHES {
            let event = Event {
                value: Some(vec![number as u8; 200_000].into()),
                ..Event::default()
            };
            let part = headwater_eventlog::Part {
                stream: "t".to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            };
            let append = headwater_eventlog::Append {
                parts: vec![part],
                principal: "ann".to_owned(),
                condition: None,
            };
            log.append_blocking(append).unwrap();
        }
        let stored = log.read_stored("t", 0, 0, u64::MAX, usize::MAX).unwrap();
        stored.into_iter().map(|stored| stored.batch).collect()
    });
    let batches = filling.await.unwrap();
    door.close().await;
    batches
}

/// The files of batches below a folder.
fn batches_files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(batches_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "batches") {
            found.push(path);
        }
    }
    found
}

/// Changes one bit of a batch, wherever it stands below a folder.
fn damage(folder: &Path, batch: &Batch) {
    let head = &batch.bytes()[..61];
    for path in batches_files(folder) {
        let all = fs::read(&path).unwrap();
        if let Some(at) = all.windows(head.len()).position(|window| window == head) {
            let at = at + batch.bytes().len() / 2;
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            return file.write_all_at(&[all[at] ^ 1], at as u64).unwrap();
        }
    }
    panic!("the batch stands in a segment");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_ends_the_connection_and_is_then_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let batches = fill(folder.path()).await;
    damage(folder.path(), &batches[DAMAGED]);
    let before: Vec<u8> = batches[..DAMAGED]
        .iter()
        .flat_map(|batch| batch.bytes().to_vec())
        .collect();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;

    // The index promises all of it; what comes ends before the damage.
    let mut socket = connect(&door).await;
    socket.write_all(&fetch(0)).await.unwrap();
    let promised = socket.read_i32().await.unwrap() as usize;
    let mut came: Vec<u8> = Vec::new();
    socket.read_to_end(&mut came).await.unwrap();
    assert!(promised > BATCHES * 200_000 && came.len() < promised);
    let sent = &came[4 + 4 + 4 + 3 + 4 + 4 + 2 + 8 + 8 + 4 + 4..];
    assert!(before.starts_with(sent));

    // Asked again: what stands before it, then that it cannot be read, then what stands behind it.
    let mut socket = connect(&door).await;
    let answer = ask(&mut socket, &fetch(0)).await;
    assert!(opened(&answer) == (0, &before[..]));
    let answer = ask(&mut socket, &fetch(DAMAGED)).await;
    assert_eq!(opened(&answer), (KAFKA_STORAGE_ERROR, &[][..]));
    let answer = ask(&mut socket, &fetch(DAMAGED + 1)).await;
    assert!(opened(&answer) == (0, &batches[DAMAGED + 1].bytes()[..]));
    drop(socket);
    door.close().await;
}

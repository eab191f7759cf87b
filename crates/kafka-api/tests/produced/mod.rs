//! Produce over a socket, and what the broker says to it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_records::Batch;
use tokio::net::TcpStream;

use crate::raw::{ask, frame};

const PRODUCE: i16 = 0;

/// What a Produce of version 8 is told of its one partition.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub code: i16,
    pub base_offset: i64,
    pub stamped_ms: i64,
    pub log_start: i64,
    pub events: Vec<(i32, String)>,
    pub message: Option<String>,
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.get_i16()).ok()?;
    Some(String::from_utf8(bytes.split_to(length).to_vec()).unwrap())
}

/// Sends a batch to partition 0 of the topic `t`.
pub async fn produce(socket: &mut TcpStream, batch: &Batch) -> Told {
    let mut body = BytesMut::new();
    body.put_i16(-1);
    body.put_i16(-1);
    body.put_i32(1_000);
    body.put_i32(1);
    body.put_slice(&[0, 1, b't']);
    body.put_i32(1);
    body.put_i32(0);
    body.put_i32(batch.bytes().len() as i32);
    body.put_slice(batch.bytes());
    let mut answer = Bytes::from(ask(socket, &frame(PRODUCE, 8, &body)).await);
    answer.advance(4 + 3 + 4 + 4);
    let mut told = Told {
        code: answer.get_i16(),
        base_offset: answer.get_i64(),
        stamped_ms: answer.get_i64(),
        log_start: answer.get_i64(),
        events: Vec::new(),
        message: None,
    };
    for _ in 0..answer.get_i32() {
        let index = answer.get_i32();
        told.events.push((index, take_text(&mut answer).unwrap()));
    }
    told.message = take_text(&mut answer);
    assert_eq!(answer.len(), 4, "the throttle time is left");
    told
}

//! Tailing a stream by server-sent events (WHATWG HTML, "Server-sent events"): the id of each is the position behind it; where positions are long (of
//! thousands of partitions), that of the last of those which are sent together.
//!
//! Invariants
//! - A slow reader holds a bounded number of events in memory: the log is read no faster than they are taken.
//! - A tail wakes for news of its own partitions alone.
//! - A tail ends within a second of the program's stop, and soon after its reader left or its stream was dropped.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::merge::Merge;
use crate::door::{Door, stopping};
use crate::limits::TAIL_ID_BYTES_MAX;

/// How many chunks may wait for a slow reader.
const CHUNKS_WAITING: usize = 4;

/// Events are put together up to this many bytes where many are there already.
const CHUNK_BYTES: usize = 32 * 1024;

/// Begins a tail; it is read on the questions' runtime.
pub(super) fn begin(door: &Door, merge: Merge) -> Response {
    let (chunks_in, mut chunks) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
    // From before the log is read: what is committed meanwhile wakes the tail again.
    let watch = door.state.engine.log().watch(merge.partitions());
    let shutdown = door.shutdown.clone();
    let heartbeat = door.options.heartbeat;
    door.state.questions.spawn(async move {
        let mut merge = merge;
        let mut silent_until = Instant::now() + heartbeat;
        // Answers at once, so that the reader knows that it is heard.
        if chunks_in.send(Bytes::from_static(b": tail\n\n")).await.is_err() {
            return;
        }
        loop {
            let (chunk, ended) = chunk(&mut merge);
            if !chunk.is_empty() {
                silent_until = Instant::now() + heartbeat;
                tokio::select! {
                    sent = chunks_in.send(chunk) => if sent.is_err() { return },
                    () = stopping(shutdown.clone()) => return,
                }
                match ended {
                    true => return,
                    false => continue,
                }
            }
            tokio::select! {
                () = watch.news() => {}
                () = sleep_until(silent_until) => {
                    silent_until = Instant::now() + heartbeat;
                    if chunks_in.send(Bytes::from_static(b": still here\n\n")).await.is_err() {
                        return;
                    }
                }
                () = chunks_in.closed() => return,
                () = stopping(shutdown.clone()) => return,
            }
        }
    });
    let body = stream::poll_fn(move |context| {
        chunks
            .poll_recv(context)
            .map(|chunk| chunk.map(Ok::<Bytes, Infallible>))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is there now, up to a chunk's size; `true` behind an error, after which the tail ends.
fn chunk(merge: &mut Merge) -> (Bytes, bool) {
    let mut chunk: Vec<u8> = Vec::new();
    let has_long_ids = merge.position().to_string().len() > TAIL_ID_BYTES_MAX;
    while chunk.len() < CHUNK_BYTES {
        match merge.next() {
            Ok(Some(merged)) => {
                if !has_long_ids {
                    chunk.extend_from_slice(format!("id: {}\n", merge.position()).as_bytes());
                }
                chunk.extend_from_slice(b"data: ");
                merge.write(&merged, &mut chunk);
                chunk.extend_from_slice(b"\n\n");
            }
            Ok(None) if !merge.is_there() => return (ended(chunk, "the stream was dropped"), true),
            Ok(None) => break,
            Err(error) => {
                return (ended(chunk, &error.to_string()), true);
            }
        }
    }
    if has_long_ids && !chunk.is_empty() {
        // Before the empty line that ends the last event.
        chunk.pop();
        chunk.extend_from_slice(format!("id: {}\n\n", merge.position()).as_bytes());
    }
    (Bytes::from(chunk), false)
}

/// The last of a tail: what it has, and why there is no more.
fn ended(mut chunk: Vec<u8>, why: &str) -> Bytes {
    let why = serde_json::Value::from(why);
    chunk.extend_from_slice(format!("event: problem\ndata: {{\"detail\":{why}}}\n\n").as_bytes());
    Bytes::from(chunk)
}

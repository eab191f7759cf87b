//! `GET /history`: everything that was appended up to a moment, batch by batch as it stands in the log, for `headwater replay --from`.
//!
//! Invariants
//! - A slow reader holds a bounded number of chunks in memory: the log is read no faster than they are taken.
//! - One history is read at a time: it holds a piece of every partition in memory.
//! - What could not be read to its end says so: the last frame is the end, or why there is none.

mod frames;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use headwater_catalog::lacking;
use headwater_eventlog::{Prefix, Until};
use headwater_records::Position;
use tokio::sync::mpsc;

pub use crate::problem::NO_LONGER_KEPT;
pub use frames::{HistoryFrame, HistoryHead, HistoryPartition, HistoryStream};

use crate::door::Door;
use crate::problem::Problem;
use crate::request::Query;

/// The media type of a history.
const MEDIA_TYPE: &str = "application/vnd.headwater.history";

/// How many chunks may wait for a slow reader.
const CHUNKS_WAITING: usize = 4;

/// Frames are put together up to this many bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Begins a history.
pub(crate) async fn read(State(door): State<Arc<Door>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::new(&uri, &["until_us", "position", "with_gaps"])?;
    let until = until(&query)?;
    let takes_gaps = query.flag("with_gaps")?;
    let busy = || Problem::unavailable("another history is being read: try again when it is done").code("history_busy");
    let turn = Arc::clone(&door.histories)
        .try_acquire_owned()
        .map_err(|_| busy().retry())?;
    let log = door.state.engine.log().clone();
    let begun = tokio::task::spawn_blocking(move || {
        let prefix = log.prefix(&until, |stream| lacking(stream, takes_gaps))?;
        let existing = log.streams().into_iter().map(|info| info.name).collect();
        Ok::<_, Problem>((HistoryHead::of(&prefix, existing), prefix))
    });
    let (head, prefix) = begun
        .await
        .map_err(|error| Problem::internal(format!("the history broke off: {error}")))??;
    let (chunks_in, mut chunks) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
    tokio::task::spawn_blocking(move || {
        give(head, prefix, &chunks_in);
        drop(turn);
    });
    let body = stream::poll_fn(move |context| {
        chunks
            .poll_recv(context)
            .map(|chunk| chunk.map(Ok::<Bytes, Infallible>))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Up to where: a time in microseconds since 1970, or a position.
fn until(query: &Query) -> Result<Until, Problem> {
    match (query.get("until_us"), query.get("position")) {
        (Some(time), None) => time.parse().map(Until::Time).map_err(|_| {
            Problem::bad_request(format!("until_us = '{time}' is no whole number")).code("parameter_out_of_range")
        }),
        (None, Some(position)) => position
            .parse::<Position>()
            .map(Until::Position)
            .map_err(|why| Problem::bad_request(why.to_string()).code("malformed_position")),
        _ => Err(
            Problem::bad_request("say up to where: until_us, microseconds since 1970, or position; one of them")
                .code("parameter_out_of_range"),
        ),
    }
}

/// Hands the history over, as fast as it is taken. Blocks.
fn give(head: HistoryHead, mut prefix: Prefix, chunks: &mpsc::Sender<Bytes>) {
    let partitions = head.partitions.iter().zip(0..);
    let places: BTreeMap<(String, u32), u32> = partitions
        .map(|(partition, place)| ((partition.stream.clone(), partition.partition), place))
        .collect();
    let mut chunk = HistoryFrame::Head(head).to_bytes();
    loop {
        let (frame, is_last) = match prefix.next_batch() {
            Ok(Some(batch)) => match places.get(&(batch.stream, batch.partition)) {
                Some(place) => (HistoryFrame::Batch(*place, batch.stored), false),
                None => (
                    HistoryFrame::Broken("a bug: a partition is not in the head".to_owned()),
                    true,
                ),
            },
            Ok(None) => (HistoryFrame::End, true),
            Err(error) => (HistoryFrame::Broken(error.to_string()), true),
        };
        chunk.extend_from_slice(&frame.to_bytes());
        if is_last || chunk.len() >= CHUNK_BYTES {
            // Nobody reads any more: then nothing is read.
            if chunks.blocking_send(std::mem::take(&mut chunk).into()).is_err() || is_last {
                return;
            }
        }
    }
}

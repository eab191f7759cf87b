//! `GET /views/{view}/changes`: a view's rows and then every change, by server-sent events (WHATWG HTML, "Server-sent events").
//!
//! | event | data |
//! | --- | --- |
//! | `upsert` | a row that is new, or another one than before |
//! | `delete` | the key of a row that is there no more, or no longer among those asked for |
//! | `position` | `{"position": …}`: everything up to it is told. It alone has an id, so that a browser that lost its connection goes on from there |
//! | `reset` | `{}`: the view was replaced, or lost what it had folded, and all rows come anew |
//! | `problem` | why the changes end |
//!
//! The id is the history of the view's rows and the position, `00c0ffee00c0ffee~stream/0@7`: whoever goes on from another history is told everything anew.
//! A position by itself goes on from there, whatever version of the view that was of.
//!
//! Invariant: a slow reader holds a bounded number of rows in memory; what changes meanwhile is told once, as it stands then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use headwater_records::{Position, PositionError};
use headwater_views::{Subscription, Told};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::running::{view, wait};
use crate::door::{Door, stopping};
use crate::json::rows::{RowForm, write_rows};
use crate::problem::Problem;
use crate::request::{self, Query};

/// How many sets may wait for a slow reader.
const SETS_WAITING: usize = 2;

/// What stands between a history and a position; no stream has it in its name.
const HISTORY_END: char = '~';

/// Begins to tell.
pub(crate) async fn follow(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::new(&uri, &["where", "from"])?;
    let view = view(&door, &name)?;
    // A browser that lost its connection says with which id it goes on.
    let resumed = request::text_header(&headers, "last-event-id")?.filter(|id| !id.is_empty());
    let from = resumed.or_else(|| query.get("from"));
    let (history, from) = from.map(going_on).transpose()?.unzip();
    let mut subscription = door.state.engine.subscribe(&name, query.get("where"), from)?;
    if let Some(history) = history.flatten() {
        subscription = subscription.told_of(history);
    }
    wait(&door, &view, &headers).await?;
    let (sets_in, mut sets) = mpsc::channel::<Bytes>(SETS_WAITING);
    let shutdown = door.shutdown.clone();
    let heartbeat = door.options.heartbeat;
    door.state.questions.spawn(async move {
        tokio::select! {
            () = tell(subscription, &sets_in, heartbeat) => {}
            () = sets_in.closed() => {}
            () = stopping(shutdown) => {}
        }
    });
    let body = stream::poll_fn(move |context| sets.poll_recv(context).map(|set| set.map(Ok::<Bytes, Infallible>)));
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The history, where it is said, and the position that a reader goes on from.
fn going_on(text: &str) -> Result<(Option<u64>, Position), Problem> {
    let history = text.split_once(HISTORY_END);
    let history = history.and_then(|(history, rest)| Some((u64::from_str_radix(history, 16).ok()?, rest)));
    let (history, position) = history.map_or((None, text), |(history, rest)| (Some(history), rest));
    let position = position
        .parse()
        .map_err(|error: PositionError| Problem::bad_request(error.to_string()).code("malformed_position"))?;
    Ok((history, position))
}

/// Tells set after set, until the reader is gone or the view cannot be followed any more.
async fn tell(mut subscription: Subscription, sets: &mpsc::Sender<Bytes>, heartbeat: Duration) {
    // Answers at once, so that the reader knows that it is heard.
    if sets.send(Bytes::from_static(b": changes\n\n")).await.is_err() {
        return;
    }
    let mut silent_until = Instant::now() + heartbeat;
    loop {
        let next = tokio::task::spawn_blocking(move || {
            let told = subscription.tell();
            (subscription, told)
        });
        let Ok((after, told)) = next.await else { return };
        subscription = after;
        let (set, ended) = match told {
            Ok(None) => {
                tokio::select! {
                    () = subscription.news() => continue,
                    () = sleep_until(silent_until) => (b": still here\n\n".to_vec(), false),
                }
            }
            Ok(Some(told)) => match written(&told, &subscription) {
                Ok(set) => (set, false),
                Err(error) => (problem(&error.to_string()), true),
            },
            Err(error) => (problem(&error.to_string()), true),
        };
        silent_until = Instant::now() + heartbeat;
        if sets.send(Bytes::from(set)).await.is_err() || ended {
            return;
        }
    }
}

/// A set as events.
fn written(told: &Told, subscription: &Subscription) -> Result<Vec<u8>, ArrowError> {
    let mut set: Vec<u8> = Vec::new();
    if told.is_reset {
        set.extend_from_slice(b"event: reset\ndata: {}\n\n");
    }
    rows("upsert", &told.rows, &mut set)?;
    rows("delete", &told.gone.project(subscription.key_columns())?, &mut set)?;
    if told.is_whole {
        let position = told.position.to_string();
        let data = json!({"position": position});
        let history = subscription.history();
        set.extend_from_slice(
            format!("event: position\nid: {history:016x}{HISTORY_END}{position}\ndata: {data}\n\n").as_bytes(),
        );
    }
    Ok(set)
}

fn rows(event: &str, rows: &RecordBatch, set: &mut Vec<u8>) -> Result<(), ArrowError> {
    write_rows(rows, RowForm::Object, |row| {
        set.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
        set.extend_from_slice(row);
        set.extend_from_slice(b"\n\n");
    })
}

fn problem(detail: &str) -> Vec<u8> {
    format!("event: problem\ndata: {}\n\n", json!({"detail": detail})).into_bytes()
}

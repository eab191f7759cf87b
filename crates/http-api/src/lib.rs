//! How does a service or a browser append, command, query, watch, administer?
//!
//! One file for each resource: `streams/` (append, read, tail, one entity), `events/` (of several streams: append, query), `views` (pages and rows by key), `lineage`, `keys` (of rows, in addresses), `commands`, `schedules`, `schemas/` (the schema registry), `sql`, `history`, `health`, `metrics`, `openapi`,
//! `console`. `front` answers what is asked most at once and hands on the rest, `router` says which address leads where; `problem` what is said when something goes wrong.
//!
//! Invariants
//! - An append or a command is answered with 200 only once its events are durable.
//! - Bodies, heads, connections and times are bounded; every refusal is a problem document (RFC 9457).
//! - A slow reader of rows or of a tail holds a bounded amount of memory.

mod appending;
mod changes;
mod commands;
mod condition_failed;
mod console;
mod event_json;
mod events;
mod front;
mod health;
pub mod history;
mod keys;
mod lineage;
mod lists;
mod metrics;
mod openapi;
mod options;
mod posted;
mod precondition;
mod problem;
mod request;
mod router;
mod row;
mod rows;
mod schedules;
mod schemas;
mod search;
mod sql;
mod streams;
mod views;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use front::Front;
pub use options::{HttpOptions, HttpState, MetricSource};
use router::{Door, stopping};

/// How long requests that are being answered may take when the program stops.
const FAREWELL_MAX: Duration = Duration::from_millis(700);

/// How long the door waits after it could not accept a connection (out of file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many histories are read at the same time: each holds 64 KiB of every partition in memory.
const HISTORIES_MAX: usize = 1;

/// The most headers of a request, and the most bytes of its head: hyper answers 431 above.
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Answers requests until `shutdown` turns true; open requests are finished, tails are closed.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    options: HttpOptions,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let open = Arc::new(AtomicUsize::new(0));
    let head_max = options.head_max;
    let door = Door {
        state,
        options,
        shutdown: shutdown.clone(),
        connections: Arc::clone(&open),
        histories: Arc::new(Semaphore::new(HISTORIES_MAX)),
    };
    let front = Front::new(Arc::new(door));
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stopping(shutdown.clone()) => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let count = Count::one(&open);
        connections.spawn(connection(
            stream,
            front.clone(),
            head_max,
            shutdown.clone(),
            (place, count),
        ));
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if timeout(FAREWELL_MAX, farewell).await.is_err() {
        connections.abort_all();
    }
    Ok(())
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!("an HTTP connection was not accepted: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    front: Front,
    head_max: Duration,
    shutdown: watch::Receiver<bool>,
    _held: (OwnedSemaphorePermit, Count),
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("an HTTP connection ended: {error}");
        return;
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(head_max)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), front);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping(shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}

/// A connection's part in the count of open ones.
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one(count: &Arc<AtomicUsize>) -> Count {
        count.fetch_add(1, Ordering::Relaxed);
        Count(Arc::clone(count))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

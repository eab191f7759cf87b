//! How does a service or a browser append, command, query, watch, administer?
//!
//! One file for each resource: `streams/` (append, read, tail, one entity), `events/` (of several streams: append, query), `views/` (rows by key, pages, searches, changes, lineage), `commands`, `schedules`, `schemas/` (the schema registry), `sql`, `history`, `health`, `metrics`, `openapi`,
//! `console`. `connection` has one connection's course, `hosts` says by which names it may be asked, `plain` reads its plain requests, `direct` answers what is asked most, `router` says which address leads where, `door` what every request can reach, `json/` how rows and events are written; `problem` what is said when something goes wrong.
//!
//! Invariants
//! - An append or a command is answered with 200 only once its events are durable.
//! - Bodies, heads, connections and times are bounded; every refusal is a problem document (RFC 9457).
//! - A slow reader of rows or of a tail holds a bounded amount of memory.

mod appending;
mod body;
mod commands;
mod condition_failed;
mod connection;
mod console;
mod direct;
mod door;
mod events;
mod health;
mod heeded;
pub mod history;
mod hosts;
mod json;
mod limits;
mod metrics;
mod openapi;
mod options;
mod plain;
mod precondition;
mod problem;
mod request;
mod router;
mod schedules;
mod schemas;
mod sql;
mod streams;
mod views;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use connection::Count;
use direct::Requests;
use door::{Door, stopping};
use limits::{ACCEPT_PAUSE, FAREWELL_MAX, HISTORIES_MAX};
pub use options::{HttpOptions, HttpState, MetricSource};

/// Answers requests until `shutdown` turns true; open requests are finished, tails are closed.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    options: HttpOptions,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let open = Arc::new(AtomicUsize::new(0));
    let door = Door {
        state,
        options,
        shutdown: shutdown.clone(),
        connections: Arc::clone(&open),
        histories: Arc::new(Semaphore::new(HISTORIES_MAX)),
        asked: AtomicU64::new(0),
        alone: AtomicU64::new(0),
    };
    let requests = Requests::new(Arc::new(door));
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stopping(shutdown.clone()) => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let (held, requests) = ((place, Count::one(&open)), requests.clone());
        connections.spawn(async move {
            connection::serve(stream, requests).await;
            drop(held);
        });
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

//! One connection: its plain requests first ([`crate::plain`]), then hyper with whatever it says otherwise.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::direct::Requests;
use crate::door::stopping;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::plain::{self, Handed};

/// Answers the requests of a connection until one of both ends it.
pub(crate) async fn serve(stream: TcpStream, requests: Requests) {
    if let Err(error) = answered(stream, requests).await {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}

async fn answered(stream: TcpStream, requests: Requests) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let requests = requests.at(stream.local_addr()?);
    let Some((stream, before)) = plain::answer(stream, &requests).await? else {
        return Ok(());
    };
    // In a box: connections that are plain to their end need no room for it.
    let other = Box::pin(by_hyper(Handed::new(before, stream), requests));
    other.await.map_err(io::Error::other)
}

async fn by_hyper(stream: Handed<TcpStream>, requests: Requests) -> hyper::Result<()> {
    let door = Arc::clone(&requests.door);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(door.options.head_max)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), requests));
    tokio::select! {
        // First, so that a request of which something came is not taken for none when the program stops.
        biased;
        ended = connection.as_mut() => ended,
        () = stopping(door.shutdown.clone()) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// A connection's part in the count of open ones.
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn one(count: &Arc<AtomicUsize>) -> Count {
        count.fetch_add(1, Ordering::Relaxed);
        Count(Arc::clone(count))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Accepts connections until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::connection::{self, stopped};
use crate::metrics::count;
use crate::socket;

/// How long open connections may take to send what is due after the stop was asked for.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// Answers Kafka clients until `shutdown` says `true` (or its sender is gone): then takes no more requests, sends the answers
/// that wait for the disk, and returns.
pub async fn serve(listener: TcpListener, broker: Broker, mut shutdown: watch::Receiver<bool>) {
    let inner = Arc::clone(broker.inner());
    let stop = shutdown.clone();
    let mut connections: JoinSet<()> = JoinSet::new();
    let broker = Arc::clone(&inner);
    let groups = tokio::spawn(async move { broker.groups.run_timers(&broker.shares).await });
    let broker = Arc::clone(&inner);
    let transactions = tokio::spawn(async move {
        let offsets = &broker.groups.offsets;
        broker.transactions.run_timers(offsets, &broker.options).await;
    });
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) if connections.len() >= inner.options.connections_max => {
                    drop(socket);
                    count(&inner.counters.refused, 1);
                    inner.complaints.line(|unwritten| {
                        tracing::warn!(%peer, unwritten, open = connections.len(), "connection refused: as many as allowed are open; raise the limit or close some");
                    });
                }
                Ok((socket, peer)) => {
                    if let Err(error) = socket::bound(&socket, &inner.options) {
                        tracing::debug!(%peer, "a connection keeps the system's buffers: {error}");
                    }
                    inner.counters.connections.store(connections.len() as u64 + 1, Relaxed);
                    connections.spawn(connection::run(socket, peer, Arc::clone(&inner), stop.clone()));
                }
                Err(error) => {
                    inner.complaints.line(|unwritten| tracing::warn!(%error, unwritten, "a connection could not be accepted"));
                    // Out of file descriptors, most likely: the next try fails the same way until one is closed.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
        inner.counters.connections.store(connections.len() as u64, Relaxed);
    }
    groups.abort();
    transactions.abort();
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, rest).await.is_err() {
        connections.shutdown().await;
    }
    inner.counters.connections.store(0, Relaxed);
}

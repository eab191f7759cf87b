//! What every request can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use tokio::sync::{Semaphore, watch};

use crate::options::{HttpOptions, HttpState};

/// What every request can reach.
pub(crate) struct Door {
    pub state: HttpState,
    pub options: HttpOptions,
    pub shutdown: watch::Receiver<bool>,
    /// How many connections are open.
    pub connections: Arc<AtomicUsize>,
    /// Whose turn it is to read a history.
    pub histories: Arc<Semaphore>,
    /// How many plain requests came.
    pub asked: AtomicU64,
    /// How often a client that was alone got a thread for itself.
    pub alone: AtomicU64,
}

impl Door {
    /// Whether the program stops: then an answer is the last of its connection.
    pub(crate) fn is_stopping(&self) -> bool {
        // Whoever held the other end is gone: then the program is stopping too.
        self.shutdown.has_changed().unwrap_or(true)
    }
}

/// Resolves when the program stops.
pub(crate) async fn stopping(mut shutdown: watch::Receiver<bool>) {
    // Whoever held the other end is gone: then the program is stopping too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

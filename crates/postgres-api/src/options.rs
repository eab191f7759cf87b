//! How this door is bounded, and where its questions run. The bounds are those of the program; tests set others.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::Handle;

/// The version this door says it is: drivers look at the number to decide what they may send.
pub const SERVER_VERSION: &str = "17.0 (Headwater)";

/// How this door is bounded, and where its questions run.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The most connections at once; one more is refused with SQLSTATE 53300. Pools of some services have place in it.
    pub connections_max: usize,
    /// The largest message taken, in bytes; a larger one is refused before it is read. It is in memory whole.
    pub message_bytes_max: usize,
    /// How long a connection may take to say who it is: whoever says nothing gives its place to others.
    pub startup_max: Duration,
    /// How long a connection may be silent between statements; `None`: as long as it likes.
    pub idle_max: Option<Duration>,
    /// How long one statement may take; `None`: as long as it likes.
    pub statement_max: Option<Duration>,
    /// The most prepared statements, and the most portals, of one connection: drivers keep some hundreds, and each is in memory.
    pub prepared_max: usize,
    /// The runtime that statements run on, so that a long scan never delays an append.
    pub questions: Handle,
    /// How many connections are open: read it for metrics.
    pub connections: Arc<AtomicUsize>,
}

impl PostgresOptions {
    /// The limits that suit most, with statements on `questions`.
    pub fn new(questions: Handle) -> PostgresOptions {
        PostgresOptions {
            connections_max: 500,
            message_bytes_max: 16 * 1024 * 1024,
            startup_max: Duration::from_secs(10),
            idle_max: None,
            statement_max: None,
            prepared_max: 1000,
            questions,
            connections: Arc::new(AtomicUsize::new(0)),
        }
    }
}

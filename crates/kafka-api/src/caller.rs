//! Who asks: what is known of a client beside its request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::broker::Inner;
use crate::limits::MUTED_MAX;

/// The user that quotas know a client as who did not log in: Kafka's name for it.
const USER_ANONYMOUS: &str = "ANONYMOUS";

/// Who asks, and where they reached us.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) broker: Arc<Inner>,
    /// The number of the connection, which no other has while the program runs.
    pub(crate) connection: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Who the events and definitions of this connection are written down for.
    pub(crate) principal: Arc<str>,
    /// What the client calls itself, with the request at hand.
    pub(crate) client_id: String,
    /// How long the client is not heard after the request at hand, milliseconds.
    pub(crate) muted_ms: Arc<AtomicU64>,
}

impl Caller {
    /// The user whose quotas hold.
    pub(crate) fn user(&self) -> &str {
        USER_ANONYMOUS
    }

    /// The client is over its quota: its next request is read so much later. Gives the milliseconds for the answer.
    pub(crate) fn mute(&self, time: Duration) -> i32 {
        let milliseconds = time.min(MUTED_MAX).as_millis() as u64;
        self.muted_ms.fetch_max(milliseconds, Ordering::AcqRel);
        milliseconds as i32
    }
}

//! The groups' clock: milliseconds since 1970 that never go back while the door is open.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock that was set once and has run evenly since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    set: Instant,
    set_ms: u64,
}

impl Clock {
    /// Sets the clock by the machine's.
    pub(crate) fn set() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Clock {
            set: Instant::now(),
            set_ms: since.map_or(0, |since| since.as_millis() as u64),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.set_ms + self.set.elapsed().as_millis() as u64
    }
}

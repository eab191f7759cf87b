//! What is counted of decisions.

use std::sync::atomic::{AtomicU64, Ordering};

/// How calls were decided, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommandsMetrics {
    /// Calls that were decided together with others, or could have been.
    pub together: u64,
    /// Appends that such calls shared.
    pub appends: u64,
    /// Appends that somebody came before: their calls, of one or of several, were decided anew.
    pub outrun: u64,
    /// Calls that were decided one by one.
    pub alone: u64,
}

/// Where it is counted.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) together: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) outrun: AtomicU64,
    pub(crate) alone: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> CommandsMetrics {
        CommandsMetrics {
            together: self.together.load(Ordering::Relaxed),
            appends: self.appends.load(Ordering::Relaxed),
            outrun: self.outrun.load(Ordering::Relaxed),
            alone: self.alone.load(Ordering::Relaxed),
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

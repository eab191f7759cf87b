//! Holding streams: for a moment, nobody else appends to them.
//!
//! A condition that many writers get in the way of would fail for ever: whoever looked at a stream, and lost the race often enough,
//! holds it while it looks again. Others wait at the door meanwhile. Correctness does not hang on this: conditions are
//! looked at in any case, so that a hold may end at any time.

use tokio::sync::OwnedRwLockWriteGuard;

use crate::append::awaited::Awaited;
use crate::append::turnstile::Turnstile;
use crate::append::{Append, AppendError, Appended};
use crate::log::EventLog;

/// Streams held; they are free again when this is dropped.
pub struct Hold {
    log: EventLog,
    turnstiles: Vec<OwnedRwLockWriteGuard<()>>,
}

impl EventLog {
    /// Waits until nobody is between the door and the sequencer with an append to these streams, and lets nobody in until the hold is given
    /// back. Hold for milliseconds: every writer of these streams waits. Streams that do not exist are not held.
    pub async fn hold(&self, streams: &[String]) -> Hold {
        let mut names: Vec<&String> = streams.iter().collect();
        // Always in the same order, so that no two wait for each other.
        names.sort();
        names.dedup();
        let mut turnstiles: Vec<OwnedRwLockWriteGuard<()>> = Vec::new();
        for name in names {
            if let Some(stream) = self.shared.stream(name) {
                turnstiles.push(stream.turnstile.clone().write_owned().await);
            }
        }
        Hold {
            log: self.clone(),
            turnstiles,
        }
    }

    /// The turnstiles of an append's streams, in the order in which they are passed.
    pub(crate) fn turnstiles(&self, append: &Append) -> Vec<Turnstile> {
        let mut names: Vec<&str> = append.parts.iter().map(|part| part.stream.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let streams = names.into_iter().filter_map(|name| self.shared.stream(name));
        streams.map(|stream| stream.turnstile.clone()).collect()
    }
}

impl Hold {
    /// Hands an append to the sequencer past the hold, which ends with that: the flush is waited for without it.
    pub async fn submit(self, append: Append) -> Awaited {
        let Hold { log, turnstiles } = self;
        let (outcome, _) = log.submit_held(append, false).await;
        drop(turnstiles);
        Awaited::new(&log, outcome, false)
    }

    /// [`Hold::submit`], and waits for the outcome.
    pub async fn append(self, append: Append) -> Result<Appended, AppendError> {
        self.submit(append).await.await
    }
}

//! Between the rounds of tending and those who wait for one, or for their end.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Between the rounds and those who wait for one, or for their end.
#[derive(Default)]
pub(crate) struct Tending {
    /// Held during a round; whether files left behind were swept up.
    pub(crate) round: Mutex<bool>,
    stopping: Mutex<bool>,
    bell: Condvar,
}

impl Tending {
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.lock()
    }

    /// Waits for so long, or for the end.
    pub(crate) fn pause(&self, time: Duration) {
        let mut stopping = self.stopping.lock();
        if !*stopping {
            self.bell.wait_for(&mut stopping, time);
        }
    }

    /// Ends the thread, and a round that is under way.
    pub(crate) fn stop(&self) {
        *self.stopping.lock() = true;
        self.bell.notify_all();
    }
}

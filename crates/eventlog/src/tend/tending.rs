//! Between the rounds of tending and those who wait for one, or for their end.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Between the rounds and those who wait for one, or for their end.
#[derive(Default)]
pub(crate) struct Tending {
    /// Held during a round; whether files left behind were swept up.
    pub(crate) round: Mutex<bool>,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Whether somebody waits for a list to be made anew.
    is_asked: bool,
}

impl Tending {
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Waits for so long, or for the end.
    pub(crate) fn pause(&self, time: Duration) {
        let mut state = self.state.lock();
        if !state.stopping {
            self.bell.wait_for(&mut state, time);
        }
    }

    /// The same between two rounds; whether somebody asked meanwhile, or had asked before, and it is not time for a round.
    pub(crate) fn pause_unless_asked(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.stopping && !state.is_asked {
            self.bell.wait_for(&mut state, time);
        }
        std::mem::take(&mut state.is_asked)
    }

    /// Asks for what is wanted to be made anew, which waits for no round.
    pub(crate) fn ask(&self) {
        self.state.lock().is_asked = true;
        self.bell.notify_all();
    }

    /// Ends the thread, and a round that is under way.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.bell.notify_all();
    }
}

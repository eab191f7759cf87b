//! A watch over histories: one that stands still is named, and ends the run, since a test that hangs says nothing.
//!
//! What a step waits for says after a while that it did not come ([`crate::ground::WAIT`]). What is watched here are waits without an end: of one
//! thread for another, or for a lock.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::ground::WAIT;

/// No step takes longer: it waits a few times, one after another, for something that has come after [`WAIT`] or is an error.
const STILL_MAX: Duration = Duration::from_secs(4 * WAIT.as_secs());

/// A step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub seed: u64,
    pub step: usize,
}

/// Told of each step that begins. While nothing is run it is not told of anything, and gone.
pub struct Watch(Sender<At>);

impl Watch {
    /// Watches until it is dropped.
    pub fn begin() -> Watch {
        let (told, steps) = channel();
        std::thread::spawn(move || {
            if let Some(At { seed, step }) = stands_still(&steps, STILL_MAX) {
                // Past the test's own output, which nobody sees of a process that ends here.
                let _ = writeln!(
                    std::io::stderr(),
                    "HEADWATER_ORACLE_SEED={seed}: stands still in step {step} for {STILL_MAX:?}"
                );
                std::process::abort();
            }
        });
        Watch(told)
    }

    /// A step begins.
    pub fn at(&self, seed: u64, step: usize) {
        // Who watched is gone only with the process.
        let _ = self.0.send(At { seed, step });
    }
}

/// Follows steps to their end; the one behind which nothing came for so long.
fn stands_still(steps: &Receiver<At>, still_max: Duration) -> Option<At> {
    let mut last = steps.recv().ok()?;
    loop {
        match steps.recv_timeout(still_max) {
            Ok(next) => last = next,
            Err(RecvTimeoutError::Timeout) => return Some(last),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

#[test]
fn who_stands_still_is_named_and_who_ends_is_not() {
    let (told, steps) = channel();
    for step in 0..3 {
        told.send(At { seed: 7, step }).expect("it is followed");
    }
    let still = stands_still(&steps, Duration::from_millis(20));
    assert_eq!(still, Some(At { seed: 7, step: 2 }));
    told.send(At { seed: 8, step: 0 }).expect("it is followed");
    drop(told);
    assert_eq!(stands_still(&steps, WAIT), None);
}

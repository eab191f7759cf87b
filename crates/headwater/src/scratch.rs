//! Pieces over an empty log on a machine in memory: for looking at an application, and for its tests. No file is touched.

use std::path::Path;

use headwater_eventlog::LogOptions;
use headwater_host::Host;
use headwater_host::simulated::{SimulatedClock, Simulation};

use crate::exit::Failure;
use crate::pieces::{Pieces, PiecesOptions};

/// The journal of a scratch log: made for a few events.
const JOURNAL_BYTES: u64 = 1024 * 1024;

/// Pieces on a machine of their own, closed when dropped.
pub struct Scratch {
    /// The pieces.
    pub pieces: Pieces,
    /// The machine's clock, which stands until it is set.
    pub clock: SimulatedClock,
}

impl Scratch {
    /// An empty log and everything over it, at this time (microseconds since 1970). Blocking: called outside of a runtime.
    pub fn open(now_us: i64) -> Result<Scratch, Failure> {
        let machine = Simulation::new(Host::real().dice.roll());
        machine.clock.set(now_us);
        let log = LogOptions {
            journal_bytes: JOURNAL_BYTES,
            ..LogOptions::default()
        };
        let options = PiecesOptions {
            log,
            ..PiecesOptions::default()
        };
        let pieces = Pieces::open_in_memory(machine.host(), Path::new("/scratch"), options)?;
        Ok(Scratch {
            pieces,
            clock: machine.clock,
        })
    }

    /// The time of this machine, microseconds since 1970.
    pub fn now_us() -> i64 {
        Host::real().clock.now_us()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.pieces.close();
    }
}

//! Pieces over a log on a machine in memory: for looking at an application, and for its tests. No file is touched.

use std::path::Path;

use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_host::simulated::{SimulatedClock, Simulation};
use tokio::runtime::Handle;

use crate::exit::Failure;
use crate::pieces::{self, Pieces, PiecesOptions};

/// The journal of a scratch log: made for a few events.
const JOURNAL_BYTES: u64 = 1024 * 1024;

/// Where everything lies on the machine.
const FOLDER: &str = "/scratch";

/// Pieces on a machine of their own, closed when dropped.
pub struct Scratch {
    /// The pieces.
    pub pieces: Pieces,
    /// The machine's clock, which stands until it is set.
    pub clock: SimulatedClock,
}

impl Scratch {
    /// An empty log and everything over it, at this time (microseconds since 1970); commands are decided on the runtime. Blocking: called outside of a runtime.
    pub fn open(runtime: &Handle, now_us: i64) -> Result<Scratch, Failure> {
        Scratch::over(runtime, now_us, |_| Ok(()))
    }

    /// The same over a log that something was put into before.
    pub fn over(
        runtime: &Handle,
        now_us: i64,
        put: impl FnOnce(&EventLog) -> Result<(), Failure>,
    ) -> Result<Scratch, Failure> {
        let machine = Simulation::new(Host::real().dice.roll());
        machine.clock.set(now_us);
        let of_program = LogOptions::default();
        let log = LogOptions {
            journal_bytes: JOURNAL_BYTES,
            stands_for_journal_bytes: Some(of_program.journal_bytes),
            ..of_program
        };
        let options = PiecesOptions {
            log,
            ..PiecesOptions::default()
        };
        let log = pieces::log_in_memory(machine.host(), Path::new(FOLDER), options.log.clone())?;
        put(&log)?;
        let pieces = Pieces::in_memory(log, runtime, options)?;
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

//! When to stop: SIGTERM and Ctrl-C ask, and a second one does not wait. A file that must not grow any more is no reason to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Failure, OrExit};

/// What a program exits with that was told twice, as shells say it for Ctrl-C.
const TOLD_TWICE: i32 = 130;

/// What the kernel sends where a file would grow beyond the limit of the process (`ulimit -f`): caught, so that the write is refused like one to a full
/// disk. The same number on every architecture of Linux but MIPS.
const SIGXFSZ: i32 = 25;

/// The signals that stop the program, caught from when this is made.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to catch them. Called in a runtime.
    pub fn catch() -> Result<StopSignals, Failure> {
        drop(signal(SignalKind::from_raw(SIGXFSZ)).or_exit(Exit::Failed)?);
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate()).or_exit(Exit::Failed)?,
            interrupt: signal(SignalKind::interrupt()).or_exit(Exit::Failed)?,
        })
    }

    /// Waits for the first; its name. From then on a second one ends the program at once.
    pub async fn first(mut self) -> &'static str {
        let name = self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(TOLD_TWICE);
        });
        name
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

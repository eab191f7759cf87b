//! The machine: disk, clock and dice; real, or simulated from a seed.
//!
//! Invariants
//! - Below the doors only this crate opens a file or reads a clock (the document store's library keeps its own files: they are derived).
//! - The simulated disk keeps only what was flushed when its power is cut; what was not flushed may be lost, torn or reordered, as its seed says.

pub mod aligned;
pub mod clock;
pub mod dice;
pub mod disk;
mod real;
mod shortage;
pub mod simulated;

use std::sync::Arc;

pub use aligned::{AlignedBytes, BLOCK_BYTES};
pub use clock::Clock;
pub use dice::Dice;
pub use disk::{Disk, File, OpenMode};
pub use shortage::Shortage;

/// What a log needs of the machine it runs on.
#[derive(Clone)]
pub struct Host {
    /// Files and folders.
    pub disk: Arc<dyn Disk>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
}

impl Host {
    /// This machine.
    pub fn real() -> Host {
        Host {
            disk: Arc::new(real::RealDisk),
            clock: Arc::new(real::RealClock),
            dice: Arc::new(real::RealDice),
        }
    }
}

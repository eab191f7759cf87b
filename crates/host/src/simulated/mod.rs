//! A machine simulated from a seed.
//!
//! The same seed gives the same dice and, for the same sequence of operations, the same losses. Its disk keeps what was flushed
//! when its power is cut; of what was not, any part may be lost, torn or reordered.

mod disk;
mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::{Clock, Dice, Host};
pub use disk::{Fault, SimulatedDisk};
pub use random::Random;

/// A whole machine. Clones are the same machine.
#[derive(Clone)]
pub struct Simulation {
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its clock.
    pub clock: SimulatedClock,
    dice: SimulatedDice,
}

impl Simulation {
    /// A machine with an empty disk, its clock at 1970-01-01.
    pub fn new(seed: u64) -> Simulation {
        let mut random = Random::new(seed);
        Simulation {
            disk: SimulatedDisk::new(random.next()),
            clock: SimulatedClock::default(),
            dice: SimulatedDice(Arc::new(Mutex::new(random))),
        }
    }

    /// What a program on this machine is given.
    pub fn host(&self) -> Host {
        Host {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            dice: Arc::new(self.dice.clone()),
        }
    }
}

/// A clock that stands until it is set. Clones are the same clock.
#[derive(Clone, Default)]
pub struct SimulatedClock(Arc<AtomicI64>);

impl SimulatedClock {
    /// Sets the time, also back.
    pub fn set(&self, now_us: i64) {
        self.0.store(now_us, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by_us: i64) {
        self.0.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct SimulatedDice(Arc<Mutex<Random>>);

impl Dice for SimulatedDice {
    fn roll(&self) -> u64 {
        self.0.lock().next()
    }
}

//! Whoever folds events into something of their own has that written before the events go.

use std::sync::{Arc, Weak};

use parking_lot::RwLock;

/// What is made of a stream's events, and is to stay when they go.
pub trait Folded: Send + Sync {
    /// Has everything written that was made of the events of a partition below an offset so far. Blocks while it is; an error says why it cannot be, and the
    /// events stay for now.
    fn write(&self, stream: &str, partition: u32, below: u64) -> Result<(), String>;
}

/// Who is asked, as long as they are there.
#[derive(Default)]
pub(crate) struct Asked {
    folded: RwLock<Vec<Weak<dyn Folded>>>,
}

impl Asked {
    pub(crate) fn add(&self, folded: Weak<dyn Folded>) {
        let mut all = self.folded.write();
        all.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&folded));
        all.push(folded);
    }

    pub(crate) fn write(&self, stream: &str, partition: u32, below: u64) -> Result<(), String> {
        let all: Vec<Arc<dyn Folded>> = self.folded.read().iter().filter_map(Weak::upgrade).collect();
        all.iter().try_for_each(|folded| folded.write(stream, partition, below))
    }
}

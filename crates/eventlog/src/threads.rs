//! The threads of an open log, and the order in which they end.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::entities::desk;
use crate::keep::behind::Ending;
use crate::shared::Shared;

/// The threads of an open log; they end with it.
pub(crate) struct Threads {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) keeper: Mutex<Option<JoinHandle<()>>>,
    pub(crate) tender: Mutex<Option<JoinHandle<()>>>,
    pub(crate) indexer: Mutex<Option<JoinHandle<()>>>,
}

/// Who is told to end before a thread is waited for.
enum Ended {
    Nobody,
    Keeper,
    Indexer,
}

impl Threads {
    pub(crate) fn end(&self, ending: Ending) {
        self.shared.tending.stop();
        self.shared.sequencer.close("it was closed");
        self.shared.pending.close();
        self.shared.behind.close();
        // The writer first: what it still flushes goes into segments, and into entity indexes.
        for (thread, ended) in [
            (&self.writer, Ended::Nobody),
            (&self.keeper, Ended::Keeper),
            (&self.tender, Ended::Nobody),
            (&self.indexer, Ended::Indexer),
        ] {
            match ended {
                Ended::Nobody => {}
                Ended::Keeper => self.shared.behind.end(ending),
                Ended::Indexer => self.shared.desk.end(match ending {
                    Ending::Checkpoint => desk::Ending::Written,
                    Ending::AtOnce => desk::Ending::AtOnce,
                }),
            }
            if let Some(thread) = thread.lock().take()
                && thread.join().is_err()
            {
                tracing::error!("a thread of the log ended in a panic");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end(Ending::AtOnce);
    }
}

//! Whoever waits for a view to get on hurries the threads that fold into it: they let events gather where nobody waits.

use std::sync::Arc;

use headwater_records::Position;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::View;

/// What wakes the threads that fold into a view.
#[derive(Default)]
pub(crate) struct Hurry {
    threads: Mutex<Vec<Arc<Notify>>>,
}

impl Hurry {
    /// One more thread folds into the view.
    pub(crate) fn add(&self, thread: Arc<Notify>) {
        self.threads.lock().push(thread);
    }

    /// Has them look for something to fold.
    pub(crate) fn wake(&self) {
        self.threads.lock().iter().for_each(|thread| thread.notify_one());
    }
}

impl View {
    /// Where the rows stand, for somebody who waits: as long as this is kept, every event is folded as soon as it is durable.
    pub(crate) fn awaited(&self) -> watch::Receiver<Position> {
        let position = self.position.subscribe();
        // Only now, so that who does not hear of this one is woken.
        self.hurry.wake();
        position
    }

    /// Whether somebody waits for it to get on.
    pub(crate) fn is_awaited(&self) -> bool {
        self.position.receiver_count() > 0
    }
}

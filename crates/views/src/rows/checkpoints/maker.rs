//! Who writes checkpoints: one at a time for all views, on a thread that lives as long as there are any to be written.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

/// Writes a checkpoint. It asks whether it is to go on.
pub(super) type Work = Box<dyn FnOnce(&dyn Fn() -> bool) + Send>;

/// Writes checkpoints behind those who fold. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Maker {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    is_stopped: AtomicBool,
    queue: Mutex<Queue>,
}

/// What is to be written: at most one checkpoint of each view.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// Whether a thread will look at what waits.
    is_attended: bool,
    thread: Option<JoinHandle<()>>,
}

impl Maker {
    /// Has a checkpoint written before long.
    pub(super) fn begin(&self, work: Work) {
        let mut queue = self.inner.queue.lock();
        if self.is_stopped() {
            return;
        }
        queue.waiting.push_back(work);
        if queue.is_attended {
            return;
        }
        let maker = self.clone();
        let begun = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || maker.work());
        match begun {
            Ok(thread) => {
                queue.is_attended = true;
                queue.thread = Some(thread);
            }
            // They are written with the next one.
            Err(error) => tracing::warn!("no thread to write a checkpoint was to be had: {error}"),
        }
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            let goes_on = || !self.is_stopped();
            if catch_unwind(AssertUnwindSafe(|| work(&goes_on))).is_err() {
                tracing::error!("writing a checkpoint panicked; the log line before says where");
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut queue = self.inner.queue.lock();
        let next = queue.waiting.pop_front();
        queue.is_attended = next.is_some();
        next
    }

    fn is_stopped(&self) -> bool {
        self.inner.is_stopped.load(Ordering::Acquire)
    }

    /// Waits until those that are to be written are.
    pub(crate) fn settle(&self) {
        let thread = self.inner.queue.lock().thread.take();
        if let Some(thread) = thread {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Gives up what is being written, and writes nothing any more.
    pub(crate) fn stop(&self) {
        self.inner.is_stopped.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut self.inner.queue.lock().waiting);
        drop(waiting);
        self.settle();
    }
}

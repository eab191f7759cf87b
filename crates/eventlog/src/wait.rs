//! Waiting on a thread, inside or outside of a runtime: for a future, or for the disk.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future that needs no runtime to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // A task's share of its runtime must not make the future wait for a turn that never comes: this thread is not given back meanwhile.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Whether this thread may wait for a flush: one outside of a runtime, or one of several of a runtime.
pub(crate) fn may_wait() -> bool {
    Handle::try_current().map_or(true, |runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Does what may take long, where [`may_wait`] says yes: the other tasks of a runtime go on meanwhile on another thread.
pub(crate) fn aside<T>(act: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(_) => task::block_in_place(act),
        Err(_) => act(),
    }
}

//! An append that is waited for: where nobody else appends, whoever waits writes and flushes it on its own thread.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::append::writer;
use crate::append::{AppendError, Appended};
use crate::log::{AppendOutcome, EventLog};
use crate::wait::may_wait;

/// An append on its way; resolves when it is durable, or was refused.
#[must_use = "others may wait until it is polled or dropped"]
pub struct Awaited {
    log: EventLog,
    outcome: AppendOutcome,
    /// Whether its group is left to it.
    leads: bool,
}

impl Awaited {
    pub(crate) fn new(log: &EventLog, outcome: AppendOutcome, leads: bool) -> Awaited {
        Awaited {
            log: log.clone(),
            outcome,
            leads,
        }
    }
}

impl Future for Awaited {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.leads && may_wait() {
            this.leads = false;
            writer::write_left(&this.log.shared);
        } else if std::mem::take(&mut this.leads) {
            this.log.shared.sequencer.leave();
        }
        Pin::new(&mut this.outcome)
            .poll(context)
            .map(|outcome| this.log.outcome(outcome))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if self.leads {
            self.log.shared.sequencer.leave();
        }
    }
}

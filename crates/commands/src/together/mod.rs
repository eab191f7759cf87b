//! Many calls decided in one go, on one thread, and appended in one step of the log.
//!
//! ```text
//! calls ── wait until the decider comes by ── rows of all of them, looked up once ── rounds ── one append ── one flush ── answers
//! ```
//!
//! While one batch of calls is decided the next one gathers. What a batch shares is most of what a decision costs: a command's expressions are worked
//! out over columns, with a row for each call; rows of views are looked up under one lock; and the events of all calls are sequenced, written and
//! folded together. Calls that read the same row are of different rounds of a batch, each decided on the row as the one before leaves it, which is foreseen
//! from what that one appends ([`headwater_views::View::foresee`]).
//!
//! Invariants
//! - It comes to what deciding the calls one after another would: each on the rows as of the end of the log and of the calls before it.
//! - The append stands on the condition that no event which came in between changes a row that was read. Where one did, nothing of the batch is in the
//!   log, and its calls are decided anew.
//! - A refusal rests on nothing that is not durable yet: a call that would be refused on foreseen rows is decided alone, which waits for them.
//! - Whatever cannot be decided together, for whatever reason, is decided alone ([`crate::decide`]), with the same outcome.

mod batch;
mod condition;
mod made;
mod round;
mod rows;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::commands::Inner;
use crate::compile::Compiled;
use crate::decide::Decision;
use crate::limits::TOGETHER_MAX;
use crate::{CommandError, CommandOutcome};

/// The calls that wait to be decided together.
#[derive(Default)]
pub(crate) struct Together {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Waiting>,
    /// Whether somebody is there who comes by.
    is_deciding: bool,
}

/// A call, and who waits for its answer.
pub(super) struct Waiting {
    pub(super) decision: Decision,
    /// How often it was decided, and somebody came in between.
    pub(super) tries: u32,
    pub(super) reply: oneshot::Sender<Result<CommandOutcome, CommandError>>,
}

impl Waiting {
    pub(super) fn answer(self, answer: Result<CommandOutcome, CommandError>) {
        // A client that went away does not listen.
        let _ = self.reply.send(answer);
    }

    /// Lets it be decided by itself.
    pub(super) fn decide_alone(self) {
        tokio::spawn(async move {
            let answer = self.decision.answer().await;
            self.answer(answer);
        });
    }
}

impl Together {
    /// Puts calls in; whether somebody has to begin to decide.
    fn put(&self, calls: impl IntoIterator<Item = Waiting>) -> bool {
        let mut queue = self.queue.lock();
        queue.calls.extend(calls);
        !std::mem::replace(&mut queue.is_deciding, true)
    }

    /// The next calls, all of one principal; `None` where there are none, and then nobody decides any more.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock();
        let Some(first) = queue.calls.front() else {
            queue.is_deciding = false;
            return None;
        };
        let principal = first.decision.session.principal.clone();
        let is_same = |call: &Waiting| call.decision.session.principal == principal;
        let others = queue.calls.iter().position(|call| !is_same(call));
        let count = others.unwrap_or(queue.calls.len()).min(TOGETHER_MAX);
        Some(queue.calls.drain(..count).collect())
    }
}

impl Inner {
    /// Decides a call together with whoever else calls now.
    pub(crate) async fn decide_together(
        self: &Arc<Inner>,
        runtime: &Handle,
        decision: Decision,
    ) -> Result<CommandOutcome, CommandError> {
        let (reply, answer) = oneshot::channel();
        let call = Waiting {
            decision,
            tries: 0,
            reply,
        };
        if self.together.put([call]) {
            runtime.spawn(decide_all(Arc::clone(self)));
        }
        answer.await.unwrap_or_else(|_| {
            Err(CommandError::Log(
                "the decision broke off: its log line says where".to_owned(),
            ))
        })
    }

    /// Whether calls of a command can be decided together now.
    fn stands_ready(&self, command: &Compiled) -> bool {
        let is_ready = |name: &String| {
            let view = self.engine.views().get(name);
            view.is_some_and(|view| view.building().is_none() && view.reads_as_defined())
        };
        command.is_simple && command.views.iter().all(is_ready)
    }

    /// Lets calls be decided once more.
    fn decide_again(self: &Arc<Inner>, calls: Vec<Waiting>) {
        if !calls.is_empty() && self.together.put(calls) {
            tokio::spawn(decide_all(Arc::clone(self)));
        }
    }
}

/// That somebody comes by. Where the runtime goes away under that, those who wait are told that it broke off.
struct Deciding<'a> {
    together: &'a Together,
    /// Whether nobody waits any more.
    is_over: bool,
}

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let waiting = {
            let mut queue = self.together.queue.lock();
            queue.is_deciding = false;
            std::mem::take(&mut queue.calls)
        };
        drop(waiting);
    }
}

/// Decides batch after batch, until nobody waits.
async fn decide_all(inner: Arc<Inner>) {
    let mut deciding = Deciding {
        together: &inner.together,
        is_over: false,
    };
    loop {
        // Whoever is ready to call does so first.
        tokio::task::yield_now().await;
        let Some(calls) = inner.together.take() else {
            deciding.is_over = true;
            return;
        };
        let deciding = AssertUnwindSafe(batch::decide(&inner, calls));
        if deciding.catch_unwind().await.is_err() {
            // Whose calls were in it are told that they broke off.
            tracing::error!("deciding a batch of calls panicked");
        }
    }
}

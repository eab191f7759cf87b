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
//! The decider has a runtime of its own choice and not that of whoever came first. A call that comes alone is decided where it is, on its caller's task: nobody
//! could be decided with it, and every hop to another task costs it more than the decision.
//!
//! Invariants
//! - It comes to what deciding the calls one after another would: each on the rows as of the end of the log and of the calls before it.
//! - The append stands on the condition that no event which came in between changes a row that was read. Where one did, nothing of the batch is in the
//!   log, and its calls are decided anew, while the streams that they read are held: nobody comes before them twice.
//! - A refusal rests on nothing that is not durable yet: a call that would be refused on foreseen rows is decided alone, which waits for them.
//! - Whatever cannot be decided together, for whatever reason, is decided alone ([`crate::decide`]), with the same outcome.
//! - A call waits no longer than its time, and is not told that it is late once its events are on their way.

mod batch;
mod condition;
mod made;
mod queue;
mod round;
mod rows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use headwater_eventlog::Hold;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::call::compiled::Compiled;
use crate::commands::Inner;
use crate::decide::Decision;
use crate::decide::locks::Held;
use crate::metrics::count;
use crate::{CommandError, CommandOutcome};
use batch::Submitted;
use queue::{Queue, Waits};

/// The calls that are to be decided together.
pub(crate) struct Together {
    queue: Mutex<Queue<Waiting>>,
    /// How many are not answered yet.
    unanswered: AtomicUsize,
    next: AtomicU64,
}

/// A call, and who waits for its answer.
pub(super) struct Waiting {
    pub(super) decision: Decision,
    /// How often it was decided, and somebody came in between.
    pub(super) tries: u32,
    /// What keeps others with its idempotency key away until it is answered, once it was looked for.
    pub(super) turn: Option<Held>,
    number: u64,
    bytes: usize,
    reply: oneshot::Sender<Result<CommandOutcome, CommandError>>,
}

impl Waiting {
    pub(super) fn answer(self, answer: Result<CommandOutcome, CommandError>) {
        count(&self.decision.commands.counters.together);
        // A client that went away does not listen.
        let _ = self.reply.send(answer);
    }

    /// Lets it be decided by itself.
    pub(super) fn decide_alone(self) {
        let Waiting {
            decision, turn, reply, ..
        } = self;
        // It takes its turn itself.
        drop(turn);
        let runtime = decision.commands.runtime.clone();
        runtime.spawn(async move {
            let _ = reply.send(decision.answer().await);
        });
    }
}

impl Waits for Waiting {
    fn number(&self) -> u64 {
        self.number
    }

    fn principal(&self) -> &str {
        &self.decision.session.principal
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Together {
    pub(crate) fn new(calls_max: usize) -> Together {
        Together {
            queue: Mutex::new(Queue::new(calls_max)),
            unanswered: AtomicUsize::new(0),
            next: AtomicU64::new(0),
        }
    }
}

/// A call that is not answered yet.
struct Unanswered<'a> {
    together: &'a Together,
    /// Whether there is no other.
    is_only: bool,
}

impl<'a> Unanswered<'a> {
    fn new(together: &'a Together) -> Unanswered<'a> {
        let others = together.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered {
            together,
            is_only: others == 0,
        }
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.together.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// Decides a call together with whoever else calls now.
    pub(crate) async fn decide_together(self: &Arc<Inner>, decision: Decision) -> Result<CommandOutcome, CommandError> {
        let unanswered = Unanswered::new(&self.together);
        let (reply, mut answer) = oneshot::channel();
        let (deadline, decide_max) = (decision.deadline, decision.decide_max);
        let number = self.together.next.fetch_add(1, Ordering::Relaxed);
        let call = Waiting {
            bytes: decision.bytes(),
            decision,
            tries: 0,
            turn: None,
            number,
            reply,
        };
        if unanswered.is_only && self.together.queue.lock().begin() {
            self.decide_here(call).await;
        } else {
            self.put(call)?;
        }
        let answer = match timeout_at(deadline, &mut answer).await {
            Ok(answer) => answer,
            // Who was taken out already is answered by whoever took it.
            Err(_) if !self.together.queue.lock().leave(number) => answer.await,
            Err(_) => return Err(CommandError::Late(decide_max.as_millis() as u64)),
        };
        answer.unwrap_or(Err(CommandError::BrokeOff))
    }

    /// Lets a call wait for the decider.
    fn put(self: &Arc<Inner>, call: Waiting) -> Result<(), CommandError> {
        let mut queue = self.together.queue.lock();
        queue.put(call).map_err(|full| CommandError::Busy(full.calls))?;
        let begins = queue.begin();
        drop(queue);
        if begins {
            self.runtime.spawn(decide_all(Deciding::new(self)));
        }
        Ok(())
    }

    /// Lets calls be decided once more.
    fn decide_again(self: &Arc<Inner>, calls: Vec<Waiting>) {
        if calls.is_empty() {
            return;
        }
        let mut queue = self.together.queue.lock();
        queue.put_again(calls);
        let begins = queue.begin();
        drop(queue);
        if begins {
            self.runtime.spawn(decide_all(Deciding::new(self)));
        }
    }

    /// Decides a call that comes alone, on its caller's task, once it was begun to decide. Whoever came meanwhile is decided by the decider.
    async fn decide_here(self: &Arc<Inner>, call: Waiting) {
        let deciding = Deciding::new(self);
        let Some(mut submitted) = deciding.decide(vec![call], None) else {
            return deciding.go_on();
        };
        if !submitted.is_in_place() {
            // Somebody holds the stream, or much waits for the disk: nobody waits for that on the caller's runtime.
            self.runtime.spawn(async move {
                submitted.in_place().await;
                deciding.go_on();
                submitted.answer().await;
            });
            return;
        }
        deciding.go_on();
        match submitted.is_remembered() {
            // Also where the caller goes away.
            true => drop(self.runtime.spawn(submitted.answer())),
            false => submitted.answer().await,
        }
    }

    /// Whether calls of a command can be decided together now.
    fn stands_ready(&self, command: &Compiled) -> bool {
        let is_ready = |name: &String| {
            let view = self.engine.views().get(name);
            view.is_some_and(|view| view.building().is_none() && view.reads_as_defined())
        };
        command.is_simple && command.views.iter().all(is_ready)
    }
}

/// That somebody comes by. Where the runtime goes away under that, those who wait are told that it broke off.
struct Deciding {
    inner: Arc<Inner>,
    /// Whether nobody waits any more, or somebody else comes by.
    is_over: bool,
}

impl Deciding {
    fn new(inner: &Arc<Inner>) -> Deciding {
        Deciding {
            inner: Arc::clone(inner),
            is_over: false,
        }
    }

    /// Decides calls. Those whose deciding panics are told that it broke off.
    fn decide(&self, calls: Vec<Waiting>, hold: Option<Hold>) -> Option<Submitted> {
        let deciding = AssertUnwindSafe(|| batch::decide(&self.inner, calls, hold));
        catch_unwind(deciding).unwrap_or_else(|_| {
            tracing::error!("deciding a batch of calls panicked");
            None
        })
    }

    /// The next calls; `None` where there are none, and then nobody decides any more.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let next = self.inner.together.queue.lock().take();
        self.is_over = next.is_none();
        next
    }

    /// Leaves the rest to the decider, where there is any.
    fn go_on(mut self) {
        if let Some(calls) = self.next() {
            let runtime = self.inner.runtime.clone();
            runtime.spawn(async move {
                self.decide_all_of(calls).await;
                decide_all(self).await;
            });
        }
    }

    async fn decide_all_of(&self, calls: Vec<Waiting>) {
        let streams = batch::held(&calls);
        let hold = match streams.is_empty() {
            true => None,
            false => Some(self.inner.engine.log().hold(&streams).await),
        };
        if let Some(mut submitted) = self.decide(calls, hold) {
            // Once this is back, the append is in its place: what is decided next sees it.
            submitted.in_place().await;
            self.inner.runtime.spawn(submitted.answer());
        }
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        if !self.is_over {
            let waiting = self.inner.together.queue.lock().end();
            drop(waiting);
        }
    }
}

/// Decides batch after batch, until nobody waits.
async fn decide_all(mut deciding: Deciding) {
    loop {
        // Whoever is ready to call does so first.
        tokio::task::yield_now().await;
        let Some(calls) = deciding.next() else { return };
        deciding.decide_all_of(calls).await;
    }
}

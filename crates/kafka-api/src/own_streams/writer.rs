//! Writes one of the door's own streams in the order in which events are handed over.
//!
//! Invariants
//! - Those of one step are appended together or not at all.
//! - Whoever waits for a step is told once it is durable, or that it is not.

use std::sync::Arc;

use headwater_eventlog::{Append, EventLog};
use headwater_records::Event;
use parking_lot::Mutex;

use super::{Unwritten, part, split};
use crate::limits::OWN_APPEND_EVENTS_MAX;

/// The writing end of a stream.
pub(crate) struct Writer {
    log: EventLog,
    stream: &'static str,
    queue: Mutex<Vec<Step>>,
    turn: tokio::sync::Mutex<()>,
}

type Then = Box<dyn FnOnce(Result<(), Unwritten>) + Send>;

struct Step {
    events: Vec<Event>,
    then: Then,
}

impl Writer {
    pub(crate) fn new(log: EventLog, stream: &'static str) -> Arc<Writer> {
        Arc::new(Writer {
            log,
            stream,
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Appends events after all that were handed over before, and then says whether they are durable.
    pub(crate) fn write(
        self: &Arc<Writer>,
        events: Vec<Event>,
        then: impl FnOnce(Result<(), Unwritten>) + Send + 'static,
    ) {
        let then = Box::new(then);
        self.queue.lock().push(Step { events, then });
        let writer = Arc::clone(self);
        // A task of its own: a client that goes away must not take along what others wait for.
        tokio::spawn(async move { writer.write_queued().await });
    }

    /// Whoever comes first writes for all who wait.
    async fn write_queued(&self) {
        let _turn = self.turn.lock().await;
        let mut steps = self.take_queued();
        if steps.is_empty() {
            return;
        }
        let events = steps.iter_mut().flat_map(|step| std::mem::take(&mut step.events));
        let runs = split(events.collect());
        let appended = self.log.append(Append {
            parts: runs.iter().map(|events| part(self.stream, events)).collect(),
            principal: String::from("groups"),
            condition: None,
        });
        let outcome = match appended.await {
            Ok(_) => Ok(()),
            Err(error) => Err(Unwritten::of(&error)),
        };
        for step in steps {
            (step.then)(outcome);
        }
    }

    /// As many steps as go into one append; each of the rest has a task that waits for its turn.
    fn take_queued(&self) -> Vec<Step> {
        let mut queue = self.queue.lock();
        let mut room = OWN_APPEND_EVENTS_MAX;
        let fits = |step: &&Step| {
            let had_room = room > 0;
            room = room.saturating_sub(step.events.len());
            had_room
        };
        let count = queue.iter().take_while(fits).count();
        queue.drain(..count).collect()
    }
}

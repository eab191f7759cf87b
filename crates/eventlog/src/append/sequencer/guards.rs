//! Looking at guards in the sequencer's step: each is shown what came after its position, durable and waiting batches alike.
//!
//! Invariant: a batch is shown to a guard once, and none is left out; what memory no longer holds is read outside of the step.

use std::sync::Arc;

use headwater_records::Position;

use super::{Older, Waiting};
use crate::append::AppendError;
use crate::entities::condition::Guard;
use crate::streams::Stream;

/// What looking at a condition says.
pub(super) enum Look {
    Holds,
    Refused(AppendError),
    NeedsOlder(Older),
}

/// Shows the guards every batch that came after their positions and that they have not seen yet.
pub(super) fn look_at_guards(waiting: &mut Waiting, stream: &impl Fn(&str) -> Option<Arc<Stream>>) -> Look {
    for (number, guard) in waiting.checks.guards.iter_mut().enumerate() {
        match look_at_guard(guard.as_mut(), &mut waiting.looked_at[number], number, stream) {
            Look::Holds => {}
            look => return look,
        }
    }
    Look::Holds
}

fn look_at_guard(
    condition: &mut dyn Guard,
    looked_at: &mut Position,
    guard: usize,
    stream: &impl Fn(&str) -> Option<Arc<Stream>>,
) -> Look {
    let after = condition.after().clone();
    let mut end = Position::new();
    let mut conflict = !condition.stands();
    for (name, number, offset) in after.iter() {
        let Some(partition) = stream(name).and_then(|stream| stream.partition(number).cloned()) else {
            return Look::Refused(AppendError::Unknown {
                stream: name.to_owned(),
                partition: number,
            });
        };
        let tail = partition.tail.lock();
        end.set(name, number, tail.end);
        let mut from = offset.max(looked_at.get(name, number));
        // What is no longer kept cannot be looked at: it may have been in the way.
        conflict |= from < partition.start().offset;
        if !conflict && from < tail.end {
            let known = condition.known(name, number, from);
            conflict = known.conflicts;
            from = from.max(known.upto);
        }
        if conflict || from >= tail.end {
            continue;
        }
        if from < tail.start() {
            drop(tail);
            return Look::NeedsOlder(Older {
                guard,
                partition,
                stream: name.to_owned(),
                from,
            });
        }
        conflict = tail
            .from(from)
            .any(|stored| condition.conflicts(name, number, &stored.batch));
        looked_at.advance(name, number, tail.end);
    }
    if conflict {
        return Look::Refused(AppendError::Conflict { end });
    }
    Look::Holds
}

//! When a checkpoint is due, and which of those that are there go.

use crate::limits::{CHECKPOINT_EVENTS_MIN, CHECKPOINT_EVENTS_PER_ROW, CHECKPOINTS_MAX};

/// What is to be known of a checkpoint to say whether it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weighed {
    /// How many events its position has below it.
    pub events: u64,
    pub bytes: u64,
}

/// Whether the next checkpoint is due, so many events after the last. `every`: what was said of that.
pub(super) fn is_due(since: u64, rows: u64, every: Option<u64>) -> bool {
    let by_rows = || CHECKPOINT_EVENTS_MIN.max(rows.saturating_mul(CHECKPOINT_EVENTS_PER_ROW));
    match every {
        Some(0) => false,
        Some(every) => since >= every,
        None => since >= by_rows(),
    }
}

/// The places of those that go, where there are more than may be. They come in the order of their events; the newest stays.
///
/// What goes is what is missed least: whose neighbours lie nearest to each other, seen from the newest. So those that stay lie the farther apart
/// the older they are.
pub(super) fn superfluous(kept: &[Weighed], bytes_max: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..kept.len()).collect();
    let mut gone: Vec<usize> = Vec::new();
    let is_too_much = |places: &[usize]| {
        let bytes: u64 = places.iter().map(|place| kept[*place].bytes).sum();
        places.len() > CHECKPOINTS_MAX || bytes > bytes_max
    };
    while places.len() > 1 && is_too_much(&places) {
        let newest = kept[places[places.len() - 1]].events;
        let events = |at: usize| kept[places[at]].events;
        let missed = |at: &usize| {
            // Before the first is the beginning.
            let before = at.checked_sub(1).map_or(0, events);
            let gap = events(at + 1).saturating_sub(before) as f64;
            gap / newest.saturating_sub(before).max(1) as f64
        };
        let least = (0..places.len() - 1).min_by(|one, other| missed(one).total_cmp(&missed(other)));
        gone.extend(least.map(|at| places.remove(at)));
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CHECKPOINT_BYTES_MAX;

    #[test]
    fn a_checkpoint_is_due_after_so_many_events() {
        for (since, rows, every, expected) in [
            (CHECKPOINT_EVENTS_MIN - 1, 10, None, false),
            (CHECKPOINT_EVENTS_MIN, 10, None, true),
            (CHECKPOINT_EVENTS_PER_ROW * 1_000_000 - 1, 1_000_000, None, false),
            (CHECKPOINT_EVENTS_PER_ROW * 1_000_000, 1_000_000, None, true),
            (6, 1_000_000, Some(7), false),
            (7, 1_000_000, Some(7), true),
            (u64::MAX, 0, Some(0), false),
        ] {
            assert_eq!(is_due(since, rows, every), expected, "{since} {rows} {every:?}");
        }
    }

    fn kept(events: impl IntoIterator<Item = u64>, bytes: u64) -> Vec<Weighed> {
        events.into_iter().map(|events| Weighed { events, bytes }).collect()
    }

    #[test]
    fn there_are_no_more_than_may_be() {
        let many = CHECKPOINTS_MAX as u64;
        let check = |kept: &[Weighed], bytes_max: u64, expected: usize| {
            assert_eq!(superfluous(kept, bytes_max).len(), expected, "{kept:?} {bytes_max}");
        };
        check(&kept(1..=many, 1), CHECKPOINT_BYTES_MAX, 0);
        check(&kept(1..=many + 1, 1), CHECKPOINT_BYTES_MAX, 1);
        check(&kept(1..=2, CHECKPOINT_BYTES_MAX / 2), CHECKPOINT_BYTES_MAX, 0);
        check(&kept(1..=3, CHECKPOINT_BYTES_MAX / 2), CHECKPOINT_BYTES_MAX, 1);
        // The newest stays, whatever it takes.
        check(&kept([9], 2), 1, 0);
        check(&[], 1, 0);
    }

    #[test]
    fn older_ones_lie_farther_apart() {
        let mut there: Vec<Weighed> = Vec::new();
        for events in 1..=1_000 {
            there.push(Weighed { events, bytes: 1 });
            let mut gone = superfluous(&there, CHECKPOINT_BYTES_MAX);
            gone.sort_unstable();
            for place in gone.into_iter().rev() {
                there.remove(place);
            }
        }
        assert_eq!(
            (there.len(), there.last().map(|last| last.events)),
            (CHECKPOINTS_MAX, Some(1_000))
        );
        let mut before = 0;
        for checkpoint in &there {
            // Whoever goes back so far folds at most this share of it again.
            let (gap, back) = (checkpoint.events - before, 1_000 - before);
            assert!(gap * 2 <= back || gap <= 2, "{gap} of {back}: {there:?}");
            before = checkpoint.events;
        }
    }
}

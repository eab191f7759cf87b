//! How views are folded, flushed and shown, and what that is where nobody says.

use headwater_catalog::ViewDefinition;

use crate::limits::{BESIDE_ROWS_BYTES, ENTRIES_SHOWN_BYTES_MAX, ENTRIES_SHOWN_MAX, TEXTS_BYTES_MAX, TEXTS_SHARE};
use crate::shapes::memory;

/// The memory of one view; rows that do not fit are read from its store again.
const MEMORY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Dirty rows go to the store at this many bytes: large enough that a hot row is written once for many events.
const FLUSH_BYTES: usize = 16 * 1024 * 1024;

/// Or after this long: what a start after a crash folds again at most.
const FLUSH_MS: u64 = 1_000;

/// A row's state is kept once in so many events: a rewind folds a few times as many at most, within milliseconds, and what is kept of a row with
/// a long history is far less than its events.
const SNAPSHOT_EVENTS: u32 = 512;

/// Events gather for so long behind those that were folded last, where nobody waits for them: under load a few hundred are folded for what the beginning of
/// a turn costs, and the processor is left to the writers.
const GATHER_MS: u64 = 1;

/// How views are folded and flushed.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// Dirty rows are flushed to the store at this many bytes,
    pub flush_bytes: usize,
    /// or after this time, whichever comes first.
    pub flush_ms: u64,
    /// The most memory that one view takes, about: its resident rows, and what folding and committing many of them takes beside them. Clean rows above
    /// it are dropped and read from the store again.
    pub memory_bytes_max: usize,
    /// After so many events of a row its state is kept as it is then, for those who rewind it.
    pub snapshot_events: u32,
    /// After so many events of a view all of its rows are kept as they are then, for those who rewind them; 0: never; `None`: the more rows there are, the
    /// more events.
    pub checkpoint_events: Option<u64>,
    /// How much of lists one read shows.
    pub lists_shown: ListsShown,
    /// Between two turns that nobody waits for events gather for so long.
    pub gather_ms: u64,
}

impl ViewOptions {
    /// What of its memory the texts of a view's rows may take: of what is set for all, or for this view.
    pub(crate) fn texts_bytes_max(&self, definition: &ViewDefinition) -> usize {
        let own = memory::bytes_max(definition).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        TEXTS_BYTES_MAX.min(own.unwrap_or(self.memory_bytes_max) / TEXTS_SHARE)
    }

    /// What of a view's memory its resident rows may take.
    pub(crate) fn rows_bytes_max(&self) -> usize {
        self.memory_bytes_max - BESIDE_ROWS_BYTES.min(self.memory_bytes_max / 2)
    }
}

/// The most of lists that one read shows, all rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListsShown {
    /// So many elements,
    pub elements_max: u64,
    /// and so many bytes of them.
    pub bytes_max: u64,
}

impl ListsShown {
    /// Where nobody says otherwise.
    pub const DEFAULT: ListsShown = ListsShown {
        elements_max: ENTRIES_SHOWN_MAX,
        bytes_max: ENTRIES_SHOWN_BYTES_MAX,
    };
}

impl Default for ViewOptions {
    fn default() -> ViewOptions {
        ViewOptions {
            flush_bytes: FLUSH_BYTES,
            flush_ms: FLUSH_MS,
            memory_bytes_max: MEMORY_BYTES_MAX,
            snapshot_events: SNAPSHOT_EVENTS,
            checkpoint_events: None,
            lists_shown: ListsShown::DEFAULT,
            gather_ms: GATHER_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_what_is_not_needed_beside_them() {
        for (memory, rows) in [
            (0, 0),
            (1_000, 500),
            (2 * BESIDE_ROWS_BYTES - 2, BESIDE_ROWS_BYTES - 1),
            (2 * BESIDE_ROWS_BYTES, BESIDE_ROWS_BYTES),
            (2 * BESIDE_ROWS_BYTES + 1, BESIDE_ROWS_BYTES + 1),
            (usize::MAX, usize::MAX - BESIDE_ROWS_BYTES),
        ] {
            let options = ViewOptions {
                memory_bytes_max: memory,
                ..ViewOptions::default()
            };
            assert_eq!(options.rows_bytes_max(), rows, "{memory}");
        }
    }
}

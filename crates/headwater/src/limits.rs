//! How memory and time are shared out between the pieces, with the reasons. The limits of one piece stand with that piece.

use std::ops::RangeInclusive;
use std::time::Duration;

use headwater_sql::EngineOptions;
use headwater_sql::limits::{GRAPH_EDGES_DEFAULT, REWIND_EVENTS_DEFAULT};
use headwater_views::ViewOptions;

/// The memory of all questions together: a question that needs more is refused, and the program goes on.
const QUESTIONS_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The resident rows of one view; what is more is read from its store again.
const VIEW_RESIDENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Dirty rows go to the store at this many bytes: large enough that a hot row is written once for many events.
const VIEW_FLUSH_BYTES: usize = 16 * 1024 * 1024;

/// Or after this long: what a start after a crash folds again at most.
const VIEW_FLUSH_MS: u64 = 1_000;

/// A row's state is kept once in so many events: a rewind folds a few times as many at most, within milliseconds, and what is kept of a row with
/// a long history is far less than its events.
const SNAPSHOT_EVENTS: u32 = 512;

/// The partitions of a stream that does not say: enough for a few consumers of a group, few enough for a small stream.
const PARTITIONS_DEFAULT: u32 = 4;

/// How long a read waits for a view to get where it was told to.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long open requests may take to finish when the program stops; with what follows it is done within a second.
pub const STOP_REQUESTS_MAX: Duration = Duration::from_millis(550);

/// How long the views may take to write their dirty rows when the program stops. What they do not write, the next start folds again.
pub const STOP_VIEWS_MAX: Duration = Duration::from_millis(250);

/// How many statements a test may run at once: what a thousand do not show, more do not show either, and each is a task of its own.
pub const TEST_ATTEMPTS_MAX: usize = 1_000;

/// How often a test with WHEN AT ONCE is run unless it is said: both ways of running it, in a few orders each.
pub const TEST_ROUNDS_DEFAULT: u32 = 6;

/// How long one statement of a test may take: an endless one is ended, a slow machine is waited for.
pub const TEST_STATEMENT_MAX: Duration = Duration::from_secs(30);

/// How many lines of a difference are shown; a view of a million rows is not printed.
pub const TEST_LINES_MAX: usize = 60;

/// The stack of a thread that parses and plans statements: an expression nests as deep as its text says.
pub const STATEMENT_STACK_BYTES: usize = 8 * 1024 * 1024;

/// What the entity indexes may be given of memory, in bytes: below a MiB they would write a run for every few thousand events, and no machine has more than a TiB to spare.
pub const ENTITY_MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// What the resident rows of one view may be given of memory, in bytes: below a MiB a view would read most rows from its store twice, once to fold and
/// once to be asked, and no machine has more than a TiB to spare.
pub const VIEW_MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// How many appends may be allowed to wait for their moment: with none there is nothing to set, and a hundred million take 10 GB of memory.
pub const SCHEDULES_MAX: RangeInclusive<u64> = 1..=100_000_000;

/// How many events a rewind may be allowed to read: none would refuse every one, and no log holds more than the most.
pub const REWIND_EVENTS: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// What views are run with.
pub fn views() -> ViewOptions {
    ViewOptions {
        flush_bytes: VIEW_FLUSH_BYTES,
        flush_ms: VIEW_FLUSH_MS,
        resident_bytes_max: VIEW_RESIDENT_BYTES_MAX,
        snapshot_events: SNAPSHOT_EVENTS,
    }
}

/// What questions are run with.
pub fn engine() -> EngineOptions {
    EngineOptions {
        memory_bytes_max: QUESTIONS_BYTES_MAX,
        partitions_default: PARTITIONS_DEFAULT,
        graph_edges_max: GRAPH_EDGES_DEFAULT,
        rewind_events_max: REWIND_EVENTS_DEFAULT,
        wait_max: WAIT_MAX,
    }
}

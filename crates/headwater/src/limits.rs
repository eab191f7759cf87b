//! How memory and time are shared out between the pieces, with the reasons. The limits of one piece stand with that piece.

use std::ops::RangeInclusive;
use std::time::Duration;

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

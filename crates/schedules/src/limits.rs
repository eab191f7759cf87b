//! Every bound of what is to be appended later, with its reason.

use std::time::Duration;

/// The most schedules that wait at once, unless the program is set up otherwise: each takes about 100 bytes of memory, whatever its size.
pub const PENDING_MAX_DEFAULT: usize = 4_000_000;

/// The longest name of a schedule, in bytes: room for a UUID and what it is for.
pub const NAME_BYTES_MAX: usize = 256;

/// The most bytes of events of one schedule. They are appended in one step with many others, and stand in one batch of any stream's size.
pub const SCHEDULE_BYTES_MAX: usize = 256 * 1024;

/// The most schedules whose events go into one append: thousands that are due at once leave room for other writers in between.
pub(crate) const DUE_MAX: usize = 500;

/// The most bytes of events in one such append, where it holds more than one schedule.
pub(crate) const DUE_BYTES_MAX: usize = 1024 * 1024;

/// Records of schedules are packed into batches of about this many bytes: one is read whole when any of its schedules is due.
pub(crate) const RECORD_BATCH_BYTES: usize = 32 * 1024;

/// The shortest time between two ticks of a recurring schedule, microseconds: each is an append, and often more than one.
pub(crate) const EVERY_US_MIN: i64 = 1_000_000;

/// How much of the stream of schedules is read at once while it is folded.
pub(crate) const READ_BYTES: usize = 1024 * 1024;

/// How long one looks away at most while something waits: the clock of a machine may be set, and then nothing is due when it was to be.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// And how long at least, so that nothing unforeseen makes it look without end.
pub(crate) const LOOK_LEAST: Duration = Duration::from_millis(1);

/// How long it is waited after an append that the log did not take, because its disk is full for example.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// How long a record of a schedule is kept after another superseded it: longer than a call with an idempotency key is remembered, whose answer
/// is read from the log again.
pub(crate) const COMPACTION_LAG_MS: u64 = 2 * 24 * 60 * 60 * 1000;

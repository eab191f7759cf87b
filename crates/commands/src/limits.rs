//! Every bound of a command, with its reason.

/// The longest idempotency key, in bytes: a UUID has 36, and every key is remembered.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// How long an idempotency key is remembered where nobody says: a client that retries after a day has forgotten too.
pub const IDEMPOTENCY_TTL: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The most idempotency keys remembered at once where nobody says: each takes about 100 bytes of memory. A key is never forgotten before its time.
pub const IDEMPOTENCY_KEYS_MAX: usize = 5_000_000;

/// How long one decision may take where nobody says, waiting for views and retries included.
pub const DECIDE_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// How much of a stream is read at once while remembered keys are folded or an answer is found again.
pub const READ_BYTES: usize = 1024 * 1024;

/// How much of one value is said in the text of a refusal: an argument may be as long as a request.
pub const VALUE_CHARS_MAX: usize = 200;

/// How many rows and keys of one read an explanation shows: a view that is read whole may have millions.
pub const ROWS_EXPLAINED_MAX: usize = 20;

/// How many rows changed lately are known of each view, twice over: those of a second or so under full load, which is far longer than a decision takes.
pub const KEYS_LATELY_MAX: usize = 100_000;

/// How often others may come in between before a decision holds the streams it reads: the first times are luck, then it is a busy row.
pub const CONFLICTS_BEFORE_HOLD: u32 = 2;

/// How often a decision looks again because a view that it reads was replaced by a newer version: that happens now and then, and not several times
/// while one decision is made.
pub const REPLACED_MAX: usize = 3;

/// How long a decision may hold streams: their writers wait as long. One that takes longer lets them go on and tries its luck again.
pub const HOLD_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// How many appended rows are kept for what rows of a view will be, until the view has folded them: some seconds' worth under full load.
pub const COMING_MAX: usize = 100_000;

/// How many bytes the appended rows take that are kept so: they are columns of whole batches of calls, and a call may say much.
pub const COMING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most calls that wait to be decided together where nobody says: as many as are decided within about half a second. Whoever comes behind them is
/// told at once rather than late.
pub const WAITING_CALLS_MAX: usize = 16_384;

/// The most bytes of arguments that wait so: a call may say as much as a request holds.
pub const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most calls that are decided together: so many meet under load, and more would let the first of them wait for the last.
pub const TOGETHER_MAX: usize = 1_024;

/// How often a call is decided together with others before it is decided alone: somebody else appended in between each time.
pub const TOGETHER_TRIES_MAX: u32 = 3;

/// How many bytes the arguments of calls that are decided together have, and how many the events that they append: a few hundred for each of them is usual.
/// One call may be larger, and is decided then without others.
pub const TOGETHER_BYTES_MAX: usize = 8 * 1024 * 1024;

//! Every bound of a view that is not an option of the program, with its reason.

use std::time::Duration;

/// The memory of a view stored as memory that does not say: a few million rows, and small beside what a machine has.
pub const MEMORY_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;

/// Rows that wait for a table of column files go into it at this many bytes: a file worth its name,
pub(crate) const LAKE_COMMIT_BYTES: usize = 32 * 1024 * 1024;

/// or after this time, unless the view says another (`every`): others see what happened a minute ago.
pub(crate) const LAKE_COMMIT_EVERY: Duration = Duration::from_secs(60);

/// Whoever needs a commit of a table before events go waits for it so long at most, and comes again later.
pub(crate) const LAKE_COMMIT_WAIT: Duration = Duration::from_secs(10);

/// The most bytes that wait for one table, the commit under way included: a view that is so far ahead of its table stands still.
pub(crate) const LAKE_WAITING_BYTES_MAX: usize = 4 * LAKE_COMMIT_BYTES;

/// The keys of rows that changed since the last merge take this much memory at most; above it, the table is written anew with all rows.
pub(crate) const LAKE_PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a commit to a table that failed waits before it is tried again, at first
pub(crate) const LAKE_RETRY_FIRST: Duration = Duration::from_millis(200);

/// and at most: storage that is back after a night is used soon.
pub(crate) const LAKE_RETRY_MAX: Duration = Duration::from_secs(30);

/// How long a commit that found the disk full waits before it is tried again: room that was made is used soon.
pub(crate) const FULL_RETRY: Duration = Duration::from_secs(1);

/// The keys of deleted rows whose places may not go yet take this much memory at most; above it they are found again in the store.
pub(crate) const GONE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// So many stored rows are looked through for such places with each commit: a few milliseconds.
pub(crate) const GONE_ROWS_AT_ONCE: usize = 4_096;

/// A checkpoint of all rows is due when so many events went into them since the last one: folding those again takes an eighth of a second,
pub const CHECKPOINT_EVENTS_MIN: u64 = 250_000;

/// or so many for each row, where that is more: writing a row costs about as much as folding one or two events, so that checkpoints cost a view
/// a tenth of its time at most, and a rewind folds a few events for each row that it shows.
pub const CHECKPOINT_EVENTS_PER_ROW: u64 = 16;

/// The most checkpoints that one version of a view keeps: each of the older ones stands for about a third of the way back to it,
pub const CHECKPOINTS_MAX: usize = 16;

/// and the most bytes of the disk that they take together; the newest stays, whatever it takes.
pub const CHECKPOINT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What rows in memory were that change while a checkpoint is made of them takes this much at most; above it the checkpoint is given up, and made later.
pub(crate) const COPY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What of a view's memory is not for its resident rows, where that is not more than half of it: the groups of a turn and the states that they are merged
/// with, a commit, the rows that its store collects in memory before they are files, and the filters and indexes of its newest files.
pub const BESIDE_ROWS_BYTES: usize = 128 * 1024 * 1024;

/// What readers made of a view's rows takes so much memory at most: the texts of a hundred thousand small ones.
pub(crate) const TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// and one part in so many of the view's memory.
pub(crate) const TEXTS_SHARE: usize = 16;

/// After so many milliseconds at most the index of a search view has what was folded, where the view does not say: a commit costs some
/// milliseconds and a few flushes of the disk, and people who look for what they just wrote wait for it (a token) anyway.
pub const FRESHNESS_MS_DEFAULT: u64 = 500;

/// The shortest freshness: below that the disk would do nothing else.
pub const FRESHNESS_MS_MIN: u64 = 10;

/// A view that lacks no more events than this is up to date, and waited for by the others of its stream: that takes some milliseconds.
pub(crate) const UP_TO_DATE_EVENTS: u64 = 8_192;

/// A commit by time comes so many times later as the last one took: a twentieth of a view's time goes into commits, whatever they cost.
pub(crate) const FLUSH_PAUSE: u32 = 20;

/// How many rows that were found are read at once: a question that wants few reads few.
pub const FOUND_ROWS_AT_ONCE: usize = 1_024;

/// The most rows of a search view that a rewind of it indexes anew, in memory.
pub const SEARCH_ROWS_REWOUND_MAX: usize = 1_000_000;

/// The most bytes of rows that UNNEST makes at once: a large array beside a large text would be that text once for each element. Batches are taken
/// in smaller pieces where they would make more, and one event that does alone is parked.
pub const UNNEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most elements of lists that one read shows: more than a page or a program takes at once,
pub const ENTRIES_SHOWN_MAX: u64 = 1_000_000;

/// and the most bytes of them: an element may be as large as an event, and all of them are in memory together.
pub const ENTRIES_SHOWN_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most values that a list is ordered by: each stands in every entry's key.
pub const LIST_ORDER_MAX: usize = 16;

/// How many rows a subscription tells at once, about: a set is in memory whole, and a reader that begins in the middle of it gets it again.
pub const SUBSCRIPTION_KEYS: usize = 4_096;

/// The same of rows that have lists: each is told whole, however long.
pub const SUBSCRIPTION_LONG_ROWS: usize = 16;

/// How much of one partition a subscription reads at once to find what changed.
pub const SUBSCRIPTION_READ_BYTES: usize = 256 * 1024;

/// How many rows a subscription keeps in mind whose WHERE reads more than the key, to say when one of them is no longer asked for: about 10 MiB.
pub const SUBSCRIBED_ROWS_MAX: usize = 100_000;

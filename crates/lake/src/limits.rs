//! The limits of tables, with their reasons.

use std::time::Duration;

/// A file that is written is closed at about this many bytes: large enough that reading it is one long run, small enough that a few are read side by side.
pub(crate) const FILE_BYTES: u64 = 128 * 1024 * 1024;

/// Files below this size are small ones.
pub(crate) const SMALL_FILE_BYTES: u64 = FILE_BYTES / 4;

/// So many small files in a table, and more than half of its files, are made large ones: each is one request and one footer for every reader.
pub(crate) const SMALL_FILES_MAX: usize = 32;

/// How long old versions can be read unless the view says otherwise (`keep_versions`): a week, as Delta's own tools have it.
pub(crate) const KEEP_VERSIONS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The least that `keep_versions` may be: a question that began with the version before must find its files to its end.
pub(crate) const KEEP_VERSIONS_MIN: Duration = Duration::from_secs(60);

/// The least that `every` may be.
pub(crate) const EVERY_MS_MIN: u64 = 10;

/// How often files that no version needs any more are looked for, in commits: listing a large table takes many requests.
pub(crate) const VACUUM_COMMITS: i64 = 100;

/// After so many commits the state of the table is written down whole, so that a reader need not read each of them.
pub(crate) const CHECKPOINT_COMMITS: u32 = 20;

/// So long storage may take to begin an answer: longer than a busy bucket needs, shorter than whoever asks waits.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The threads that wait for storage, for all tables together: they compress columns too.
pub(crate) const STORAGE_THREADS: usize = 2;

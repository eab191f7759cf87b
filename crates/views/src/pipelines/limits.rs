//! Every bound of a pipeline, with its reason.

use std::time::Duration;

/// How much is read of one partition at once: a pipeline that is far behind works in pieces, and one slow event holds up no more than these.
pub(super) const READ_BYTES: usize = 1024 * 1024;

/// The least that is read of each of several partitions that are taken in the order of their events, where there are many: some events at least.
pub(super) const ORDERED_READ_BYTES_MIN: usize = 16 * 1024;

/// How many events are decoded into one Arrow batch.
pub(super) const DECODE_EVENTS: usize = 8_192;

/// How many events are worked out at once. A view's row may be large and is there once for each event that it is joined to: a few hundred of
/// them are looked at before it is known whether what waits is to be appended.
pub(super) const SLICE_EVENTS: usize = 512;

/// What waits is appended at this size. It bounds the memory of a pipeline, with the results of one slice on top.
pub(super) const APPEND_BYTES: usize = 1024 * 1024;

/// Where nothing comes of the events, the position is written this often: so much is looked at again after a crash.
pub(super) const NOTE_EVERY: Duration = Duration::from_secs(1);

/// How long one waits before trying again what cannot be done now (the disk is full, a view is not there).
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// How much of the stream of positions is read at a time.
pub(super) const POSITIONS_READ_BYTES: usize = 1024 * 1024;

/// How much of a pipeline's stream is read at a time, where its results say how far it has come.
pub(super) const RESULTS_READ_BYTES: usize = 1024 * 1024;

/// The longest position, in bytes of its text, that is noted with each result as where a joined view stood: some 25 partitions. It stands beside every
/// event, and an event is often no larger.
pub(super) const JOINED_POSITION_BYTES_MAX: usize = 256;

/// The longest key, in bytes of its JSON, that is noted with each result as what was looked up: it is mostly in the event's key and value, too, and three
/// times may be more than the stream takes.
pub(super) const JOINED_KEY_BYTES_MAX: usize = 4 * 1024;

//! Every limit of this door that nobody need set, with its reason; those that tests set stand in [`crate::HttpOptions`].

use std::time::Duration;

/// How long requests that are being answered may take when the program stops.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_millis(700);

/// How long the door waits after it could not accept a connection (out of file descriptors, for example).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many histories are read at the same time: each holds 64 KiB of every partition in memory.
pub(crate) const HISTORIES_MAX: usize = 1;

/// The longest position that stands in an answer's head: Node and Python refuse a head of more than some 16 or 64 KiB. Of a stream of thousands of
/// partitions it is longer, and stands in the body alone.
pub(crate) const POSITION_HEADER_BYTES_MAX: usize = 8 * 1024;

/// A position up to this length is the id of each event of a tail; a longer one of the last of those that are sent together.
pub(crate) const TAIL_ID_BYTES_MAX: usize = 512;

/// The most headers of a request, and the most bytes of its head: 431 above.
pub(crate) const HEADERS_MAX: usize = 100;
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most headers of a plain request (`crate::plain`): services send ten, browsers twenty. What has more is read by hyper, up to [`HEADERS_MAX`].
pub(crate) const PLAIN_HEADERS_MAX: usize = 32;

/// The most bytes of a plain request's head. One that comes byte by byte is looked through again with each: that must not add up to much.
pub(crate) const PLAIN_HEAD_BYTES_MAX: usize = 8 * 1024;

/// The largest body of a plain request, in bytes: it is waited for in the connection's own memory. A larger one is read by hyper in parts.
pub(crate) const PLAIN_BODY_BYTES_MAX: usize = 64 * 1024;

/// How much a connection with plain requests reads at a time, and keeps of its memory while it is idle.
pub(crate) const PLAIN_INPUT_BYTES: usize = 8 * 1024;

/// How many bytes of answers to pipelined requests may wait for each other before they are written. A longer answer is written by itself.
pub(crate) const PLAIN_OUTPUT_BYTES: usize = 16 * 1024;

/// So many requests in a row came soon, with none of others between them, before their client gets a thread for itself: taking one and giving it back costs as much as
/// answering some.
pub(crate) const PLAIN_ALONE_AFTER: u32 = 8;

/// How long such a thread waits for its client to send or to take something.
pub(crate) const PLAIN_IDLE_MAX: Duration = Duration::from_millis(1);

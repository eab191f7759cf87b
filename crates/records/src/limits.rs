//! Every limit on an event, a batch or a name, with its reason.

/// The longest name of a stream, view or command: Kafka's limit on a topic's name, in bytes.
pub const NAME_BYTES_MAX: usize = 249;

/// The largest batch the log takes unless configured otherwise: Kafka's `message.max.bytes`.
pub const BATCH_BYTES_MAX: usize = 1_048_588;

/// How far one compressed batch may expand when it is read: a bomb is refused, real data is not.
pub const BATCH_INFLATED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most partitions of one stream.
pub const PARTITIONS_MAX: u32 = 10_000;

/// The bytes of a batch before its first event: offset, length, leader epoch, magic, CRC, attributes, counts, timestamps, producer.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The smallest event there can be: seven fields of one byte each (length, attributes, timestamp, offset, no key, no value, no headers).
/// With it an event count can be held against the bytes that are there.
pub const EVENT_BYTES_MIN: usize = 7;

/// The most events of one batch. Clients send some thousands; a compressed batch of a few kilobytes could state tens of millions, and each costs
/// its readers a hundred bytes of memory, however small it is.
pub const EVENTS_MAX: usize = 1_000_000;

/// How much of a batch's stated event count is believed when memory is reserved for the events: later ones are paid for as they come.
pub const EVENTS_RESERVED_MAX: usize = 4096;

/// The furthest that snappy can expand one byte: a copy takes 3 bytes and stands for 64, so a stated length beyond 22 times the input lies.
pub const SNAPPY_RATIO_MAX: usize = 22;

/// The largest window a zstd frame may ask for, as a power of two: 128 MiB is what level 22, the highest a client can set, uses.
/// The window is reserved, and paid for only as bytes come.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// From this byte of a batch on its own CRC covers it.
pub const BATCH_CRC_COVERS_FROM: usize = 21;

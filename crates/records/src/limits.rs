//! Every limit on an event, a batch or a name, with its reason.

/// The longest name of a stream, view or command: Kafka's limit on a topic's name, in bytes.
pub const NAME_BYTES_MAX: usize = 249;

/// The largest batch the log takes unless configured otherwise: Kafka's `message.max.bytes`.
pub const BATCH_BYTES_MAX: usize = 1_048_588;

/// How far one compressed batch may expand when it is read: a bomb is refused, real data is not.
pub const BATCH_INFLATED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most partitions of one stream.
pub const PARTITIONS_MAX: u32 = 10_000;

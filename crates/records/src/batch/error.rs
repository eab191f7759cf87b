//! Why bytes are no batch.

/// Why bytes are no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the header or the batch's own length says.
    #[error("the batch is cut short: {need} bytes needed, {have} there")]
    Short {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The CRC-32C does not match.
    #[error(
        "the batch's CRC-32C is {computed:08x}, its header says {stated:08x}: its bytes were changed on the way or on the disk"
    )]
    Crc {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Another message format than v2.
    #[error("message format {magic} is not kept here, only 2 (Kafka 0.11 and newer): configure the client for it")]
    Magic {
        /// The magic byte.
        magic: i8,
    },
    /// Counts, lengths or sizes inside that contradict each other or break a limit.
    #[error("the batch is malformed: {0}")]
    Malformed(&'static str),
}

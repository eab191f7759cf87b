//! A batch as it is read back.

use std::sync::Arc;

use headwater_records::Batch;

/// A batch read back, with what the log keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// The bytes as they came, at their base offset.
    pub batch: Batch,
    /// When it was appended, microseconds since 1970.
    pub appended_at_us: i64,
    /// By whom.
    pub principal: Arc<str>,
}

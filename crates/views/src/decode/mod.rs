//! From a stream's bytes to Arrow.
//!
//! The columns of a stream as a table: its declared columns (or one `value` of JSON text where it is schema-free), then
//! `_partition` INTEGER, `_offset` BIGINT, `_key` TEXT (a key that is no UTF-8 as `\x` and hex), `_headers` TEXT (a JSON object, NULL without),
//! `_timestamp` TIMESTAMPTZ (the writer's), `_appended_at` TIMESTAMPTZ (ours), `_principal` TEXT.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::StoredBatch;
use headwater_records::{Address, BatchError};

/// The columns that every stream has besides its own, in order.
pub const SYSTEM_COLUMNS: [&str; 7] =
    ["_partition", "_offset", "_key", "_headers", "_timestamp", "_appended_at", "_principal"];

/// Decodes the batches of one stream.
pub struct StreamDecoder {}

/// What came of decoding.
pub struct Decoded {
    /// The events that fit, in order.
    pub rows: RecordBatch,
    /// Those that did not.
    pub parked: Vec<Parked>,
}

/// An event whose value does not fit its stream's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Where it stands.
    pub address: Address,
    /// What does not fit: column, value, why.
    pub reason: String,
}

impl StreamDecoder {
    /// A decoder for the stream's definition.
    pub fn new(definition: &StreamDefinition) -> StreamDecoder {
        let _ = definition;
        todo!()
    }

    /// All columns of the stream as a table.
    pub fn schema(&self) -> SchemaRef {
        todo!()
    }

    /// Decodes the events of one partition with `from <= offset < to`; only the columns of `projection` (indexes into [`StreamDecoder::schema`]) where given.
    pub fn decode(
        &self,
        partition: u32,
        batches: &[StoredBatch],
        from: u64,
        to: u64,
        projection: Option<&[usize]>,
    ) -> Result<Decoded, BatchError> {
        let _ = (partition, batches, from, to, projection);
        todo!()
    }

    /// Whether one value fits the stream's schema: for doors that refuse at once. `Err` holds the reason.
    pub fn check(&self, value: Option<&[u8]>) -> Result<(), String> {
        let _ = value;
        todo!()
    }
}

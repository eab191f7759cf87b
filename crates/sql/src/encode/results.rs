//! The events of a pipeline's results.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::record_batch::RecordBatch;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::{EventLog, Part};
use headwater_records::Event;
use headwater_schemas::Schemas;
use headwater_views::ResultEncoder;

use super::{EventEncoder, pack_within};
use crate::SqlError;
use crate::limits::{BATCH_BYTES_TARGET, BATCH_OVERHEAD_BYTES};

/// Makes events of results as INSERT makes them of rows.
pub(crate) struct Results {
    log: EventLog,
    stream: String,
    /// Whether the stream has a KEY.
    is_keyed: bool,
    encoder: EventEncoder,
}

impl Results {
    /// For a stream whose columns are those of the results, in their order.
    pub(crate) fn new(log: &EventLog, schemas: &Schemas, definition: &StreamDefinition) -> Result<Results, SqlError> {
        Ok(Results {
            log: log.clone(),
            stream: definition.name.clone(),
            is_keyed: !definition.key.is_empty(),
            encoder: EventEncoder::new(definition, schemas)?,
        })
    }
}

impl ResultEncoder for Results {
    fn events(&self, rows: &RecordBatch) -> Result<Vec<Event>, String> {
        let arrays: Vec<Option<ArrayRef>> = rows.columns().iter().map(|array| Some(Arc::clone(array))).collect();
        let rows = self.encoder.assign(rows.num_rows(), &arrays);
        let events = rows.and_then(|rows| self.encoder.encode(&rows, -1));
        events.map_err(|error| error.message)
    }

    fn parts(&self, events: Vec<Event>, spread: u32) -> Vec<Part> {
        let info = self.log.stream(&self.stream);
        let partitions = info.as_ref().map_or(1, |info| info.partitions);
        // Its own limit may be less than what batches mostly have: nobody is there who could send smaller ones.
        let own = info.and_then(|info| info.settings.batch_bytes_max);
        let own = own.map_or(usize::MAX, |own| (own as usize).saturating_sub(BATCH_OVERHEAD_BYTES));
        // What has NULL in its KEY keeps its order too.
        let spread = if self.is_keyed { 0 } else { spread };
        pack_within(own.min(BATCH_BYTES_TARGET), &self.stream, partitions, events, spread).parts
    }
}

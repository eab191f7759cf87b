//! Which rows of a view the rows of a stream would change, before they are events: so that whoever appends rows need not read them back.

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use headwater_catalog::Format;

use crate::query::Source;
use crate::{GroupKey, View, ViewError};

impl View {
    /// The key of a row, from the columns of its key as arrays of one, which have the columns' types.
    pub fn key_of(&self, columns: &[ArrayRef]) -> Result<GroupKey, ViewError> {
        self.query.key_of(columns)
    }

    /// What [`View::touched`] says of the events that these rows of a stream become; `None` where only the events say it. The rows have the stream's
    /// declared columns, in their order.
    pub fn touched_by_rows(&self, stream: &str, rows: &RecordBatch) -> Option<Vec<GroupKey>> {
        let Some(decoder) = self.decoder(stream) else {
            return Some(Vec::new());
        };
        let definition = decoder.definition();
        // In other formats a value may be read as another than the one that was written.
        let is_json = definition.format == Format::Json;
        let depends_on_append = self.query.inputs.iter().any(|input| input.depends_on_append);
        let (known, own) = (decoder.schema(), rows.schema());
        let are_alike = definition
            .columns
            .as_ref()
            .is_some_and(|columns| columns.len() == own.fields().len());
        let mut pairs = known.fields().iter().zip(own.fields());
        let is_alike = pairs.all(|(known, own)| known.name() == own.name() && known.data_type() == own.data_type());
        if !is_json || depends_on_append || !are_alike || !is_alike {
            return None;
        }
        // A system column is not among them, and what the query cannot evaluate is told event by event.
        self.query.groups(&Source::Events(stream.to_owned()), rows).ok()
    }
}

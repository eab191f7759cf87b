//! Files of a table that are being written: nobody sees them before a commit names them.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use deltalake_core::kernel::Action;
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable, DeltaTableError};
use headwater_views::unfit_partition;

use crate::columns;
use crate::limits::FILE_BYTES;
use crate::spec::TableSpec;

/// What one commit will say: files to come, and files to go.
pub(crate) struct Files {
    stored: SchemaRef,
    /// The columns that make folders, where they are texts.
    texts: Vec<usize>,
    writer: RecordBatchWriter,
    removed: Vec<Action>,
}

impl Files {
    pub(crate) fn new(delta: &DeltaTable, spec: &TableSpec) -> Result<Files, DeltaTableError> {
        let place = |name: &String| spec.stored.index_of(name).ok();
        let places = spec.partitioned_by.iter().filter_map(place);
        let is_text = |place: &usize| *spec.stored.field(*place).data_type() == DataType::Utf8;
        Ok(Files {
            texts: places.filter(is_text).collect(),
            stored: spec.stored.clone(),
            writer: RecordBatchWriter::for_table(delta)?.with_target_file_size(FILE_BYTES),
            removed: Vec::new(),
        })
    }

    /// Writes rows of the view.
    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<(), DeltaTableError> {
        let rows = columns::to_stored(rows, &self.stored);
        let rows = rows.map_err(|error| DeltaTableError::Generic(error.to_string()))?;
        for place in &self.texts {
            let name = rows.schema_ref().field(*place).name();
            let texts = rows.column(*place).as_string::<i32>();
            if let Some(why) = texts.iter().flatten().find_map(|text| unfit_partition(name, text)) {
                return Err(DeltaTableError::Generic(why));
            }
        }
        self.writer.write(rows).await
    }

    /// A file is no longer part of the table.
    pub(crate) fn remove(&mut self, file: Action) {
        self.removed.push(file);
    }

    /// What the commit says.
    pub(crate) async fn close(mut self) -> Result<Vec<Action>, DeltaTableError> {
        let mut actions = self.removed;
        actions.extend(self.writer.flush().await?.into_iter().map(Action::Add));
        Ok(actions)
    }
}

//! Rows that are replaced by others of the same keys: the files that hold them are written again without them.
//!
//! ```text
//! for each file:  its keys ─ one that is replaced? ─ no ─> the file stays
//!                                                    yes ─> its other rows into a new file; the file goes
//! ```
//!
//! Only the key's columns are read of a file that stays.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::RowConverter;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Action;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use headwater_views::{Replaced, key_fields};

use crate::files::Files;
use crate::source::Source;
use crate::spec::TableSpec;

/// Takes the rows that are replaced out of the table.
pub(crate) async fn without(
    delta: &DeltaTable,
    spec: &TableSpec,
    replaced: &Replaced,
    files: &mut Files,
) -> Result<(), DeltaTableError> {
    let keys = match replaced {
        Replaced::Keys(keys) if keys.is_empty() => return Ok(()),
        Replaced::Keys(keys) => Some(Keys::new(spec, keys)?),
        Replaced::All => None,
    };
    let snapshot = delta.snapshot()?.log_data();
    for file in snapshot.iter() {
        let removed = file.remove_action(true);
        let Some(keys) = &keys else {
            files.remove(Action::Remove(removed));
            continue;
        };
        let source = Source::of_file(delta, &spec.schema, &removed)?;
        if !keys.are_in(&source).await? {
            continue;
        }
        let mut rows = read(&source, None).await?;
        while let Some(rows) = rows.try_next().await? {
            files.write(&keys.leave(&rows, &spec.key_columns)?).await?;
        }
        files.remove(Action::Remove(removed));
    }
    Ok(())
}

/// The rows of a file.
async fn read(source: &Source, columns: Option<&Vec<usize>>) -> Result<SendableRecordBatchStream> {
    let context = SessionContext::new();
    let plan = source.scan(&context.state(), columns, &[], None).await?;
    execute_stream(plan, context.task_ctx())
}

/// The keys that are replaced, as the view writes them.
struct Keys<'a> {
    replaced: &'a HashSet<Vec<u8>>,
    converter: RowConverter,
    columns: &'a Vec<usize>,
}

impl<'a> Keys<'a> {
    fn new(spec: &'a TableSpec, replaced: &'a HashSet<Vec<u8>>) -> Result<Keys<'a>, ArrowError> {
        let types = spec
            .key_columns
            .iter()
            .map(|column| spec.schema.field(*column).data_type());
        Ok(Keys {
            replaced,
            converter: RowConverter::new(key_fields(types))?,
            columns: &spec.key_columns,
        })
    }

    /// Whether a file has rows of them.
    async fn are_in(&self, source: &Source) -> Result<bool> {
        let mut rows = read(source, Some(self.columns)).await?;
        while let Some(rows) = rows.try_next().await? {
            if self.found(rows.columns())?.contains(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rows that have none of them.
    fn leave(&self, rows: &RecordBatch, key_columns: &[usize]) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = key_columns
            .iter()
            .map(|column| Arc::clone(rows.column(*column)))
            .collect();
        let kept: Vec<bool> = self.found(&columns)?.into_iter().map(|found| !found).collect();
        filter_record_batch(rows, &BooleanArray::from(kept))
    }

    fn found(&self, columns: &[ArrayRef]) -> Result<Vec<bool>, ArrowError> {
        let keys = self.converter.convert_columns(columns)?;
        Ok(keys.iter().map(|key| self.replaced.contains(key.data())).collect())
    }
}

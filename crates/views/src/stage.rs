//! One step on the way of a batch: a filter or a projection, evaluated in place.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

/// A physical expression.
pub(crate) type Physical = Arc<dyn PhysicalExpr>;

/// A filter or a projection.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Keeps the rows where the expression is true.
    Filter(Physical),
    /// Puts these columns in the place of the batch's.
    Project(Vec<Physical>, SchemaRef),
}

impl Stage {
    /// What comes out for a batch.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        match self {
            Stage::Filter(predicate) => {
                let keep = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
                Ok(filter_record_batch(batch, keep.as_boolean())?)
            }
            Stage::Project(columns, schema) => {
                let rows = batch.num_rows();
                let columns = columns
                    .iter()
                    .map(|column| column.evaluate(batch)?.into_array(rows))
                    .collect::<Result<Vec<_>>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
            }
        }
    }

    /// The expressions it evaluates.
    pub(crate) fn expressions(&self) -> &[Physical] {
        match self {
            Stage::Filter(predicate) => std::slice::from_ref(predicate),
            Stage::Project(columns, _) => columns,
        }
    }

    /// The same step, its expressions changed.
    pub(crate) fn map(self, mut change: impl FnMut(Physical) -> Result<Physical>) -> Result<Stage> {
        Ok(match self {
            Stage::Filter(predicate) => Stage::Filter(change(predicate)?),
            Stage::Project(columns, schema) => {
                Stage::Project(columns.into_iter().map(change).collect::<Result<_>>()?, schema)
            }
        })
    }
}

/// Applies steps one after another.
pub(crate) fn apply_all(stages: &[Stage], batch: &RecordBatch) -> Result<RecordBatch> {
    let mut batch = batch.clone();
    for stage in stages {
        batch = stage.apply(&batch)?;
    }
    Ok(batch)
}

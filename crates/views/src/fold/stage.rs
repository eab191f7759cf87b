//! One step on the way of a batch: a filter, a projection, or an UNNEST, evaluated in place.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use crate::fold::unnest::Unnest;

/// A physical expression.
pub(crate) type Physical = Arc<dyn PhysicalExpr>;

/// A filter, a projection, or an UNNEST.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Keeps the rows where the expression is true.
    Filter(Physical),
    /// Puts these columns in the place of the batch's.
    Project(Vec<Physical>, SchemaRef),
    /// Makes a row of each element of arrays.
    Unnest(Unnest),
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
            Stage::Unnest(unnest) => unnest.apply(batch),
        }
    }

    /// The expressions it evaluates.
    pub(crate) fn expressions(&self) -> &[Physical] {
        match self {
            Stage::Filter(predicate) => std::slice::from_ref(predicate),
            Stage::Project(columns, _) => columns,
            Stage::Unnest(_) => &[],
        }
    }

    /// The same step, its expressions changed.
    pub(crate) fn map(self, mut change: impl FnMut(Physical) -> Result<Physical>) -> Result<Stage> {
        Ok(match self {
            Stage::Filter(predicate) => Stage::Filter(change(predicate)?),
            Stage::Project(columns, schema) => {
                Stage::Project(columns.into_iter().map(change).collect::<Result<_>>()?, schema)
            }
            Stage::Unnest(unnest) => Stage::Unnest(unnest),
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

/// The same, and for each row that is left its place among those that came in. `columns`: those of the last step's that are wanted, and no others
/// are worked out.
pub(crate) fn apply_tracked(
    stages: &[Stage],
    batch: &RecordBatch,
    columns: Option<&[usize]>,
) -> Result<(RecordBatch, Vec<usize>)> {
    let mut batch = batch.clone();
    let mut places: Vec<usize> = (0..batch.num_rows()).collect();
    for (number, stage) in stages.iter().enumerate() {
        match (stage, columns) {
            (Stage::Filter(predicate), _) => {
                let keep = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
                let keep = keep.as_boolean();
                let mut row = 0..;
                places.retain(|_| row.next().is_some_and(|row| keep.is_valid(row) && keep.value(row)));
                batch = filter_record_batch(&batch, keep)?;
            }
            (Stage::Project(made, schema), Some(columns)) if number + 1 == stages.len() => {
                let made: Vec<Physical> = columns.iter().map(|column| Arc::clone(&made[*column])).collect();
                let step = Stage::Project(made, Arc::new(schema.project(columns)?));
                return Ok((step.apply(&batch)?, places));
            }
            _ => batch = stage.apply(&batch)?,
        }
    }
    match columns {
        Some(columns) => Ok((batch.project(columns)?, places)),
        None => Ok((batch, places)),
    }
}

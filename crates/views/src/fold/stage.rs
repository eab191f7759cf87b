//! One step on the way of a batch: a filter, a projection, or an UNNEST, evaluated in place.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

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

    /// How many columns it makes; `None` where they are those of its input.
    pub(crate) fn width(&self) -> Option<usize> {
        match self {
            Stage::Filter(_) => None,
            Stage::Project(columns, _) => Some(columns.len()),
            Stage::Unnest(unnest) => Some(unnest.width()),
        }
    }

    /// The columns of its input that it reads for these of its own.
    pub(crate) fn reads(&self, made: &BTreeSet<usize>) -> BTreeSet<usize> {
        match self {
            Stage::Filter(predicate) => &columns_of([predicate]) | made,
            Stage::Project(columns, _) => columns_of(made.iter().filter_map(|column| columns.get(*column))),
            Stage::Unnest(unnest) => unnest.reads(made),
        }
    }

    /// The columns that it makes of these of its input, where so many of its own are read: a filter leaves none out, and elements are counted by
    /// their own columns.
    pub(crate) fn made(&self, input: &BTreeSet<usize>, read: &BTreeSet<usize>) -> BTreeSet<usize> {
        match self {
            Stage::Filter(_) => input.clone(),
            Stage::Project(..) => read.clone(),
            Stage::Unnest(unnest) => &unnest.elements() | read,
        }
    }

    /// The step from these columns of its input alone to these of its own.
    pub(crate) fn narrowed(&self, input: &BTreeSet<usize>, made: &BTreeSet<usize>) -> Result<Stage> {
        Ok(match self {
            Stage::Filter(predicate) => Stage::Filter(moved(predicate, input)?),
            Stage::Project(columns, schema) => {
                let kept: Vec<usize> = made.iter().copied().collect();
                let columns = kept.iter().map(|column| moved(&columns[*column], input));
                Stage::Project(columns.collect::<Result<_>>()?, Arc::new(schema.project(&kept)?))
            }
            Stage::Unnest(unnest) => Stage::Unnest(unnest.narrowed(input, made)?),
        })
    }
}

/// The columns that expressions read.
pub(crate) fn columns_of<'a>(expressions: impl IntoIterator<Item = &'a Physical>) -> BTreeSet<usize> {
    let read = expressions.into_iter().flat_map(collect_columns);
    read.map(|column| column.index()).collect()
}

/// The same expression over a batch that has these of the columns alone.
pub(crate) fn moved(expression: &Physical, kept: &BTreeSet<usize>) -> Result<Physical> {
    let moved = Arc::clone(expression).transform_down(|part| match part.downcast_ref::<Column>() {
        Some(column) => {
            let place = place_among(kept, column.index())?;
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), place)) as Physical))
        }
        None => Ok(Transformed::no(part)),
    })?;
    Ok(moved.data)
}

/// Where a column stands among those that are kept.
pub(crate) fn place_among(kept: &BTreeSet<usize>, column: usize) -> Result<usize> {
    match kept.contains(&column) {
        true => Ok(kept.range(..column).count()),
        false => Err(DataFusionError::Internal(format!(
            "the column {column} is read and was not asked for"
        ))),
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

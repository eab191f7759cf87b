//! A pipeline's query, compiled: the steps that an event takes to its results.
//!
//! ```text
//! TableScan ─ Filter, Join, Projection …
//!   source     steps, from the bottom up
//! ```
//!
//! Beside the rows go their origins: for each row, which of the events it was made of, and what was looked up for it.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, StringArray, UInt32Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::DataFusionError;

use super::join::Join;
use super::trouble::Trouble;
use crate::fold::stage::Physical;
use crate::view::ViewByName;

/// A compiled query.
pub(super) struct Flow {
    /// What it reads.
    pub source: Reads,
    /// The source's columns that it reads, in the order of the batches it takes.
    pub columns: Vec<String>,
    pub steps: Vec<Step>,
    /// The columns of its results.
    pub output: SchemaRef,
}

/// What a flow begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reads {
    /// The events of a stream.
    Stream(String),
    /// The changes of a view.
    Changes(String),
}

/// One step on the way.
pub(super) enum Step {
    /// Keeps the rows where the expression is true.
    Filter(Physical),
    /// Puts these columns in the place of those there are.
    Project(Vec<Physical>, SchemaRef),
    /// Puts the columns of a view's row beside those there are.
    Join(Box<Join>),
}

/// Rows on their way, and the event that each was made of, by its row in the batch that was taken.
pub(super) struct Flowing {
    pub rows: RecordBatch,
    pub origins: UInt32Array,
    /// For each join so far, what was looked up for each row.
    pub notes: Vec<StringArray>,
}

impl Flow {
    /// The views that it joins.
    pub(super) fn views(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Join(join) => Some(join.view.as_str()),
            _ => None,
        })
    }

    /// What comes of events in [`Flow::columns`].
    pub(super) fn results(&self, events: &RecordBatch, views: &ViewByName) -> Result<Flowing, Trouble> {
        let count = u32::try_from(events.num_rows()).unwrap_or(u32::MAX);
        let mut flowing = Flowing {
            rows: events.clone(),
            origins: UInt32Array::from_iter_values(0..count),
            notes: Vec::new(),
        };
        for step in &self.steps {
            flowing = match step {
                Step::Filter(predicate) => flowing.filtered(predicate)?,
                Step::Project(columns, schema) => flowing.projected(columns, schema)?,
                Step::Join(join) => join.joined(flowing, views)?,
            };
        }
        Ok(flowing)
    }
}

impl Flowing {
    /// Those for which an expression is true.
    pub(super) fn filtered(self, predicate: &Physical) -> Result<Flowing, DataFusionError> {
        let keep = predicate.evaluate(&self.rows)?.into_array(self.rows.num_rows())?;
        Ok(self.kept(keep.as_boolean())?)
    }

    /// Those that are to be kept.
    pub(super) fn kept(self, keep: &BooleanArray) -> Result<Flowing, ArrowError> {
        let kept = |notes: &StringArray| Ok(filter(notes, keep)?.as_string().clone());
        Ok(Flowing {
            rows: filter_record_batch(&self.rows, keep)?,
            origins: filter(&self.origins, keep)?.as_primitive().clone(),
            notes: self.notes.iter().map(kept).collect::<Result<_, ArrowError>>()?,
        })
    }

    fn projected(self, columns: &[Physical], schema: &SchemaRef) -> Result<Flowing, DataFusionError> {
        let rows = self.rows.num_rows();
        let columns = columns
            .iter()
            .map(|column| column.evaluate(&self.rows)?.into_array(rows))
            .collect::<Result<Vec<_>, DataFusionError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Flowing {
            rows: RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?,
            origins: self.origins,
            notes: self.notes,
        })
    }
}

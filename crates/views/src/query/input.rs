//! One way into a view's groups: what it reads, and the steps from there up to the aggregate.
//!
//! A query has one input for each part of a UNION ALL, and one more for the tombstones where they delete rows. All inputs end in columns of the
//! same meaning, so that they share the groups and the aggregates' states.

use std::collections::BTreeSet;
use std::fmt;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::logical_expr::TableScan;
use datafusion::physical_expr::expressions::Column;

use crate::caught;
use crate::fold::stage::{Physical, Stage, apply_all, apply_tracked, columns_of, moved};

/// The columns whose values only the log knows.
const APPEND_COLUMNS: [&str; 3] = ["_offset", "_appended_at", "_principal"];

/// What of a stream goes into a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The events of a stream.
    Events(String),
    /// The tombstones of a stream.
    Tombstones(String),
}

impl Source {
    /// What a scan of a view's plan reads.
    pub(crate) fn of(scan: &TableScan) -> Source {
        let table = match (scan.table_name.schema(), scan.table_name.table()) {
            (None | Some("public"), table) => table.to_owned(),
            (Some(schema), table) => format!("{schema}.{table}"),
        };
        let inner = table
            .strip_prefix("tombstones(")
            .and_then(|rest| rest.strip_suffix(')'));
        match inner {
            Some(stream) => Source::Tombstones(stream.to_owned()),
            None => Source::Events(table),
        }
    }

    /// The stream.
    pub fn stream(&self) -> &str {
        match self {
            Source::Events(stream) | Source::Tombstones(stream) => stream,
        }
    }
}

/// As a scan calls it. No stream's name has a bracket.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Events(stream) => f.write_str(stream),
            Source::Tombstones(stream) => write!(f, "tombstones({stream})"),
        }
    }
}

/// One way into the groups.
pub(crate) struct Input {
    pub source: Source,
    /// The columns that it reads.
    pub columns: Vec<String>,
    /// From those columns to the aggregate's input.
    pub(super) stages: Vec<Stage>,
    pub(super) group: Vec<Physical>,
    /// For each aggregate.
    pub(super) arguments: Vec<Vec<Physical>>,
    pub(super) filters: Vec<Option<Physical>>,
    /// The source's columns that the key is made of, one for one; `None` where a key column is worked out from others.
    pub key_sources: Option<Vec<String>>,
    /// For each column behind the stages the source's column that it is, where it is one as it stands.
    pub passed: Vec<Option<String>>,
    /// Whether an event's group depends on what only the log knows: its offset, when it was appended, by whom.
    pub depends_on_append: bool,
}

/// An input before it is narrowed to the columns that it reads: everything is in terms of all columns of the source.
pub(super) struct Wide {
    pub source: Source,
    pub stages: Vec<Stage>,
    pub group: Vec<Physical>,
    pub arguments: Vec<Vec<Physical>>,
    pub filters: Vec<Option<Physical>>,
}

impl Wide {
    /// The input over the columns of `scanned` that it reads, every stage of which makes only what is read behind it.
    pub(super) fn narrow(mut self, scanned: &Schema) -> Result<Input> {
        let read = self.leave_out_unread(scanned.fields().len())?;
        let scanned = scanned.project(&read.into_iter().collect::<Vec<usize>>())?;
        let name = |column: usize| scanned.field(column).name().clone();
        let mut key_sources: Vec<Option<String>> = Vec::with_capacity(self.group.len());
        for column in &self.group {
            key_sources.push(column_of(column).and_then(|column| self.below(column)).map(name));
        }
        let passed = (0..self.width(scanned.fields().len())).map(|column| self.below(column).map(name));
        Ok(Input {
            key_sources: key_sources.into_iter().collect(),
            passed: passed.collect(),
            depends_on_append: self.depends_on_append(&scanned),
            columns: scanned.fields().iter().map(|field| field.name().clone()).collect(),
            source: self.source,
            stages: self.stages,
            group: self.group,
            arguments: self.arguments,
            filters: self.filters,
        })
    }

    /// Leaves out of each stage what nothing behind it reads, so that no array's elements stand beside the whole event. What is left of the scanned
    /// columns.
    fn leave_out_unread(&mut self, scanned: usize) -> Result<BTreeSet<usize>> {
        // What is read before each stage, and behind the last one.
        let mut read: Vec<BTreeSet<usize>> = vec![self.read_behind(scanned)];
        for stage in self.stages.iter().rev() {
            let behind = read.last().cloned().unwrap_or_default();
            read.push(stage.reads(&behind));
        }
        read.reverse();
        let scanned = read.first().cloned().unwrap_or_default();
        let mut before = scanned.clone();
        for (stage, behind) in self.stages.iter_mut().zip(&read[1..]) {
            let made = stage.made(&before, behind);
            *stage = stage.narrowed(&before, &made)?;
            before = made;
        }
        let arguments = self.arguments.iter_mut().flatten();
        let filters = self.filters.iter_mut().flatten();
        for expression in self.group.iter_mut().chain(arguments).chain(filters) {
            *expression = moved(expression, &before)?;
        }
        Ok(scanned)
    }

    /// The columns behind the last stage that are read: all of them, where they are the rows.
    fn read_behind(&self, scanned: usize) -> BTreeSet<usize> {
        if self.group.is_empty() && self.arguments.is_empty() {
            return (0..self.width(scanned)).collect();
        }
        let arguments = self.arguments.iter().flatten();
        let filters = self.filters.iter().flatten();
        columns_of(self.group.iter().chain(arguments).chain(filters))
    }

    /// How many columns there are behind the last stage.
    fn width(&self, scanned: usize) -> usize {
        let mut widths = self.stages.iter().rev().filter_map(Stage::width);
        widths.next().unwrap_or(scanned)
    }

    /// The scanned column that a column behind the stages is, where it is one as it stands.
    fn below(&self, mut column: usize) -> Option<usize> {
        for stage in self.stages.iter().rev() {
            column = match stage {
                Stage::Project(columns, _) => column_of(columns.get(column)?)?,
                Stage::Unnest(unnest) => unnest.below(column)?,
                Stage::Filter(_) => column,
            };
        }
        Some(column)
    }

    /// Whether a filter or a group rests on a column that only the log knows, through whatever projections.
    fn depends_on_append(&self, scanned: &Schema) -> bool {
        let mut decisive: Vec<(usize, &Physical)> = self.group.iter().map(|group| (self.stages.len(), group)).collect();
        for (index, stage) in self.stages.iter().enumerate() {
            if let Stage::Filter(predicate) = stage {
                decisive.push((index, predicate));
            }
        }
        decisive.into_iter().any(|(stages, expression)| {
            self.scanned_below(stages, columns_of([expression]))
                .into_iter()
                .any(|column| APPEND_COLUMNS.contains(&scanned.field(column).name().as_str()))
        })
    }

    /// The scanned columns that columns behind so many stages rest on.
    fn scanned_below(&self, stages: usize, mut columns: BTreeSet<usize>) -> BTreeSet<usize> {
        for stage in self.stages[..stages].iter().rev() {
            columns = match stage {
                Stage::Project(made, _) => columns_of(columns.iter().filter_map(|column| made.get(*column))),
                Stage::Unnest(unnest) => columns.iter().filter_map(|column| unnest.rests_on(*column)).collect(),
                Stage::Filter(_) => columns,
            };
        }
        columns
    }
}

/// The column that an expression is, where it is nothing else.
fn column_of(expression: &Physical) -> Option<usize> {
    expression.downcast_ref::<Column>().map(Column::index)
}

/// The columns of a batch that an aggregate takes, worked out.
pub(super) struct Evaluated {
    pub rows: usize,
    pub group: Vec<ArrayRef>,
    pub arguments: Vec<Vec<ArrayRef>>,
    pub filters: Vec<Option<BooleanArray>>,
}

impl Input {
    /// Its share of a batch that has its columns among others.
    fn share_of(&self, events: &RecordBatch) -> Result<RecordBatch> {
        let schema = events.schema();
        let columns: Vec<usize> = self
            .columns
            .iter()
            .map(|column| schema.index_of(column))
            .collect::<Result<_, _>>()?;
        Ok(events.project(&columns)?)
    }

    /// Whether rows with these columns say to which groups the events belong that they are, one by one.
    pub(crate) fn is_told_by(&self, columns: &[headwater_catalog::Column]) -> bool {
        let unnests = self.stages.iter().any(|stage| matches!(stage, Stage::Unnest(_)));
        let is_there = |name: &String| columns.iter().any(|column| column.name == *name);
        !unnests && self.columns.iter().all(is_there)
    }

    /// The rows that events are, of a query that has one for each.
    pub(super) fn rows(&self, events: &RecordBatch) -> Result<RecordBatch> {
        caught(|| apply_all(&self.stages, &self.share_of(events)?))
    }

    /// The groups of events, as the values of the key's columns.
    pub(super) fn groups(&self, events: &RecordBatch) -> Result<(usize, Vec<ArrayRef>)> {
        caught(|| {
            let batch = apply_all(&self.stages, &self.share_of(events)?)?;
            Ok((batch.num_rows(), evaluate(&self.group, &batch)?))
        })
    }

    /// The same, and for each row the place of the event that it is; `None` where an event becomes several rows.
    pub(super) fn groups_tracked(&self, events: &RecordBatch) -> Result<Option<(Vec<usize>, Vec<ArrayRef>)>> {
        if self.stages.iter().any(|stage| matches!(stage, Stage::Unnest(_))) {
            return Ok(None);
        }
        caught(|| {
            let (batch, places) = apply_tracked(&self.stages, &self.share_of(events)?, None)?;
            Ok(Some((places, evaluate(&self.group, &batch)?)))
        })
    }

    /// Everything that can fail on an event's values.
    pub(super) fn evaluate(&self, events: &RecordBatch) -> Result<Evaluated> {
        caught(|| self.worked_out(events))
    }

    fn worked_out(&self, events: &RecordBatch) -> Result<Evaluated> {
        let batch = apply_all(&self.stages, &self.share_of(events)?)?;
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for columns in &self.arguments {
            arguments.push(evaluate(columns, &batch)?);
        }
        let mut filters = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            filters.push(match filter {
                Some(filter) => {
                    let keep = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
                    Some(datafusion::common::cast::as_boolean_array(&keep)?.clone())
                }
                None => None,
            });
        }
        Ok(Evaluated {
            rows: batch.num_rows(),
            group: evaluate(&self.group, &batch)?,
            arguments,
            filters,
        })
    }
}

fn evaluate(expressions: &[Physical], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let rows = batch.num_rows();
    expressions
        .iter()
        .map(|expression| expression.evaluate(batch)?.into_array(rows))
        .collect()
}

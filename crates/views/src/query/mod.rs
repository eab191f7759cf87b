//! A view's query, compiled: the steps that an event takes to its group, and a group's state to its row.
//!
//! ```text
//! TableScan ─ Filter, Projection … ─ Aggregate ─ Projection, Filter (HAVING) …
//!   stream      below: `stages`        groups      above: `finish`
//! ```
//!
//! A query without an aggregate ends with its stages: see `events`.
//!
//! Everything is evaluated on record batches in place: no plan is executed and nothing waits while events are folded.

mod compile;
mod events;
mod refuse;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, Rows};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

pub(crate) use compile::compile;
pub(crate) use refuse::{check_expression, refused_but};

use crate::stage::{Physical, Stage, apply_all};
use crate::{GroupKey, ViewError};

/// A compiled query.
pub(crate) struct Query {
    /// The stream it reads.
    pub stream: String,
    /// The stream's columns that it reads, in the order of the batches it takes.
    pub columns: Vec<String>,
    /// From the stream's columns to the aggregate's input.
    stages: Vec<Stage>,
    group: Vec<Physical>,
    aggregates: Vec<Aggregate>,
    /// Group keys as bytes; `None` where there is no GROUP BY.
    keys: Option<RowConverter>,
    pub key_types: Vec<DataType>,
    /// States as bytes; `None` where there is no aggregate.
    states: Option<RowConverter>,
    /// From the aggregate's output to the view's rows.
    finish: Vec<Stage>,
    grouped: SchemaRef,
    /// The schema of the view's rows.
    pub output: SchemaRef,
    /// Whether there is neither GROUP BY nor an aggregate: each event is a row, and none has a key.
    pub is_per_event: bool,
    /// See [`crate::View::key_columns`].
    pub key_columns: Vec<usize>,
    /// Whether an event's group depends on what only the log knows: its offset, when it was appended, by whom.
    pub depends_on_append: bool,
    /// The stream's columns that the key is made of, one for one; `None` where a key column is worked out from others.
    pub key_sources: Option<Vec<String>>,
    /// What the bytes of keys and states mean: they are read again only by a query of the same text.
    pub fingerprint: String,
}

/// One aggregate of a query.
struct Aggregate {
    function: Arc<AggregateFunctionExpr>,
    arguments: Vec<Physical>,
    filter: Option<Physical>,
    states: usize,
}

/// The events of a batch with everything done that can fail on an event's values.
pub(crate) enum Prepared {
    /// On their way into groups.
    Groups(Grouped),
    /// The rows that they are, of a query that has one for each.
    Rows(RecordBatch),
}

/// The events of a batch on their way into groups.
pub(crate) struct Grouped {
    pub rows: usize,
    /// The key of each event; `None` where there is no GROUP BY.
    pub keys: Option<Rows>,
    arguments: Vec<Vec<ArrayRef>>,
    filters: Vec<Option<arrow::array::BooleanArray>>,
}

/// The state of some groups, by their index.
pub(crate) struct Accumulators(Vec<Box<dyn GroupsAccumulator>>);

impl Query {
    /// Whether there is no GROUP BY: one row, which is there from the start.
    pub(crate) fn is_global(&self) -> bool {
        self.keys.is_none() && !self.is_per_event
    }

    /// Whether no HAVING lets a stored row go.
    pub(crate) fn shows_all(&self) -> bool {
        !self.finish.iter().any(|stage| matches!(stage, Stage::Filter(_)))
    }

    /// The names of the group's columns.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        let columns = self.grouped.fields().iter().take(self.key_types.len());
        columns.map(|field| field.name().as_str())
    }

    /// Takes events of [`Query::columns`] up to the aggregate.
    pub(crate) fn prepare(&self, batch: &RecordBatch) -> Result<Prepared> {
        let batch = apply_all(&self.stages, batch)?;
        if self.is_per_event {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            let rows = RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?;
            return Ok(Prepared::Rows(rows));
        }
        let rows = batch.num_rows();
        let evaluate = |expressions: &[Physical]| -> Result<Vec<ArrayRef>> {
            expressions
                .iter()
                .map(|expression| expression.evaluate(&batch)?.into_array(rows))
                .collect()
        };
        let mut arguments = Vec::with_capacity(self.aggregates.len());
        let mut filters = Vec::with_capacity(self.aggregates.len());
        for aggregate in &self.aggregates {
            arguments.push(evaluate(&aggregate.arguments)?);
            filters.push(match &aggregate.filter {
                Some(filter) => {
                    let keep = filter.evaluate(&batch)?.into_array(rows)?;
                    Some(datafusion::common::cast::as_boolean_array(&keep)?.clone())
                }
                None => None,
            });
        }
        let keys = match &self.keys {
            Some(converter) => Some(converter.convert_columns(&evaluate(&self.group)?)?),
            None => None,
        };
        Ok(Prepared::Groups(Grouped {
            rows,
            keys,
            arguments,
            filters,
        }))
    }

    /// The keys of the groups that events belong to, each once.
    pub(crate) fn groups(&self, batch: &RecordBatch) -> Result<Vec<GroupKey>> {
        let batch = apply_all(&self.stages, batch)?;
        let rows = batch.num_rows();
        let Some(converter) = &self.keys else {
            return Ok(if rows == 0 {
                Vec::new()
            } else {
                vec![GroupKey(Vec::new())]
            });
        };
        let columns = self
            .group
            .iter()
            .map(|column| column.evaluate(&batch)?.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let mut keys: Vec<GroupKey> = converter
            .convert_columns(&columns)?
            .iter()
            .map(|row| GroupKey(row.data().to_vec()))
            .collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The key of the group of these values.
    pub(crate) fn key(&self, values: &[ScalarValue]) -> Result<GroupKey, ViewError> {
        let failed = |why: String| ViewError::Failed(format!("the values are no key: {why}"));
        if values.len() != self.key_types.len() {
            return Err(failed(format!(
                "{} were given, the key has {}",
                values.len(),
                self.key_types.len()
            )));
        }
        let Some(converter) = &self.keys else {
            return Ok(GroupKey(Vec::new()));
        };
        let columns = values
            .iter()
            .zip(&self.key_types)
            .map(|(value, key_type)| value.cast_to(key_type)?.to_array_of_size(1));
        let columns: Vec<ArrayRef> = columns
            .collect::<Result<_>>()
            .map_err(|error| failed(error.strip_backtrace()))?;
        let rows = converter
            .convert_columns(&columns)
            .map_err(|error| failed(error.to_string()))?;
        Ok(GroupKey(rows.row(0).data().to_vec()))
    }

    /// The values that a key is made of.
    pub(crate) fn key_values(&self, key: &GroupKey) -> Result<Vec<ScalarValue>> {
        let Some(converter) = &self.keys else {
            return Ok(Vec::new());
        };
        let parser = converter.parser();
        let columns = converter.convert_rows([parser.parse(&key.0)])?;
        columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    /// Empty states.
    pub(crate) fn accumulators(&self) -> Result<Accumulators> {
        let create = |aggregate: &Aggregate| -> Result<Box<dyn GroupsAccumulator>> {
            if aggregate.function.groups_accumulator_supported() {
                return aggregate.function.create_groups_accumulator();
            }
            let function = aggregate.function.clone();
            Ok(Box::new(GroupsAccumulatorAdapter::new(move || {
                function.create_accumulator()
            })))
        };
        Ok(Accumulators(self.aggregates.iter().map(create).collect::<Result<_>>()?))
    }

    /// Events into states: the aggregate's first mode (events → state).
    pub(crate) fn update(
        &self,
        into: &mut Accumulators,
        events: &Grouped,
        groups: &[usize],
        groups_total: usize,
    ) -> Result<()> {
        for (index, accumulator) in into.0.iter_mut().enumerate() {
            accumulator.update_batch(
                &events.arguments[index],
                groups,
                events.filters[index].as_ref(),
                groups_total,
            )?;
        }
        Ok(())
    }

    /// States into states: its second mode (state + state → state).
    pub(crate) fn merge(
        &self,
        into: &mut Accumulators,
        states: &[&[u8]],
        groups: &[usize],
        groups_total: usize,
    ) -> Result<()> {
        let Some(converter) = &self.states else {
            return Ok(());
        };
        let parser = converter.parser();
        let columns = converter.convert_rows(states.iter().map(|state| parser.parse(state)))?;
        let mut columns = columns.as_slice();
        for (aggregate, accumulator) in self.aggregates.iter().zip(&mut into.0) {
            let (own, rest) = columns.split_at(aggregate.states);
            accumulator.merge_batch(own, groups, groups_total)?;
            columns = rest;
        }
        Ok(())
    }

    /// The states as bytes, in the order of the groups; `None` where there is no aggregate and a state is no bytes at all.
    pub(crate) fn states(&self, mut of: Accumulators) -> Result<Option<Rows>> {
        let Some(converter) = &self.states else {
            return Ok(None);
        };
        let mut columns = Vec::new();
        for accumulator in &mut of.0 {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        Ok(Some(converter.convert_columns(&columns)?))
    }

    /// For each key its place in these rows, which show the key; `None` where they have no row of it (HAVING).
    pub(crate) fn places(&self, keys: &[&[u8]], rows: &RecordBatch) -> Result<Vec<Option<usize>>> {
        let Some(converter) = &self.keys else {
            return Ok(keys.iter().map(|_| (rows.num_rows() > 0).then_some(0)).collect());
        };
        let columns: Vec<ArrayRef> = self.key_columns.iter().map(|at| rows.column(*at).clone()).collect();
        let shown = converter.convert_columns(&columns)?;
        let places: HashMap<&[u8], usize> = shown.iter().enumerate().map(|(at, key)| (key.data(), at)).collect();
        Ok(keys.iter().map(|key| places.get(*key).copied()).collect())
    }

    /// Keys and states to the view's rows: its third mode (state → rows).
    pub(crate) fn rows(&self, keys: &[&[u8]], states: &[&[u8]]) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = match &self.keys {
            Some(converter) => {
                let parser = converter.parser();
                converter.convert_rows(keys.iter().map(|key| parser.parse(key)))?
            }
            None => Vec::new(),
        };
        let groups_total = if self.is_global() { 1 } else { states.len() };
        if states.is_empty() {
            // Without GROUP BY there is a row before the first event; an accumulator of groups knows no group without an event.
            for aggregate in self.aggregates.iter().filter(|_| self.is_global()) {
                columns.push(aggregate.function.create_accumulator()?.evaluate()?.to_array()?);
            }
        } else {
            let mut accumulators = self.accumulators()?;
            let groups: Vec<usize> = (0..states.len()).collect();
            self.merge(&mut accumulators, states, &groups, groups_total)?;
            for accumulator in &mut accumulators.0 {
                columns.push(accumulator.evaluate(EmitTo::All)?);
            }
        }
        if groups_total == 0 {
            return Ok(RecordBatch::new_empty(self.output.clone()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups_total));
        let grouped = RecordBatch::try_new_with_options(self.grouped.clone(), columns, &options)?;
        apply_all(&self.finish, &grouped)
    }
}

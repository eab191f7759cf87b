//! A view's query, compiled: the steps that an event takes to its group, and a group's state to its row.
//!
//! ```text
//! TableScan ─ Filter, Projection, Unnest … ─┐
//! TableScan ─ Filter, Projection, Unnest … ─┴ Aggregate ─ Projection, Filter (HAVING) …
//!   stream      below: `inputs`                groups      above: `finish`
//! ```
//!
//! A query without an aggregate ends with its stages: see `events`.
//!
//! Everything is evaluated on record batches in place: no plan is executed and nothing waits while events are folded.

mod branches;
mod canonical;
mod choice;
mod compile;
mod events;
mod groups;
mod input;
pub(crate) mod partitions;
mod refuse;
mod rows;
mod simplify;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, Rows};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

pub(crate) use input::Input;
pub use input::Source;
pub(crate) use refuse::{check_expression, node, refused_but};
pub(crate) use rows::RowsOf;
pub use simplify::{SimplifiedApart, physical, simplified};

use crate::fold::stage::Stage;
use crate::order::{Place, place_of};
use crate::rows::entries::{Gathering, Keeping, ListColumn, NewEntries, Part, Shown};
use crate::rows::keys::canonical;
use crate::{GroupKey, ViewError};

/// A compiled query.
pub(crate) struct Query {
    /// The view's name.
    pub view: String,
    /// The ways into its groups.
    pub inputs: Vec<Input>,
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
    /// The columns of the rows that a table is partitioned by: see [`partitions`].
    partitions: Vec<usize>,
    /// Whether it has a KEY: the newest row of each key is kept, or that a tombstone deleted it.
    pub is_keyed: bool,
    /// Which columns of the rows are lists kept as entries.
    pub lists: Vec<ListColumn>,
    /// What the bytes of keys and states mean: they are read again only by a query of which this is the same.
    pub fingerprint: String,
    /// What becomes of them: queries that differ in this alone make other rows of the same states.
    pub surface: String,
}

/// One aggregate of a query.
struct Aggregate {
    function: Arc<AggregateFunctionExpr>,
    states: usize,
    keeping: Keeping,
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

impl Grouped {
    /// Only the events of these rows, and without their keys.
    pub(crate) fn only(&self, rows: Vec<u32>) -> Result<Grouped> {
        let rows = UInt32Array::from(rows);
        let only = |column: &ArrayRef| take(column, &rows, None);
        let of_each = |columns: &Vec<ArrayRef>| columns.iter().map(only).collect::<Result<Vec<ArrayRef>, ArrowError>>();
        let mut filters = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            let filter = filter.as_ref().map(|filter| take(filter, &rows, None)).transpose()?;
            filters.push(filter.map(|filter| filter.as_boolean().clone()));
        }
        Ok(Grouped {
            rows: rows.len(),
            keys: None,
            arguments: self.arguments.iter().map(of_each).collect::<Result<_, ArrowError>>()?,
            filters,
        })
    }
}

/// The state of some groups, by their index.
pub(crate) struct Accumulators(Vec<Gathering>);

impl Accumulators {
    /// What they hold in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().map(Gathering::memory).sum()
    }
}

impl Query {
    /// Whether there is no GROUP BY: one row, which is there from the start.
    pub(crate) fn is_global(&self) -> bool {
        self.keys.is_none() && !self.is_per_event
    }

    /// Whether every stored row is shown: no HAVING lets one go, and none is what a deleted one leaves behind.
    pub(crate) fn shows_all(&self) -> bool {
        !self.is_keyed && !self.finish.iter().any(|stage| matches!(stage, Stage::Filter(_)))
    }

    /// Whether rows have entries beside their states.
    pub(crate) fn has_entries(&self) -> bool {
        self.aggregates.iter().any(|aggregate| aggregate.keeping.has_entries())
    }

    /// Whether checkpoints are kept of its rows: lists and sets are rewound from their first element on, and a row alone has snapshots.
    pub(crate) fn keeps_checkpoints(&self) -> bool {
        !self.has_entries() && !self.is_global()
    }

    /// The numbers of the aggregates that are lists.
    fn lists_kept(&self) -> Vec<usize> {
        let is_list = |number: &usize| matches!(self.aggregates[*number].keeping, Keeping::List(_));
        (0..self.aggregates.len()).filter(is_list).collect()
    }

    /// Whether what is shown of rows has elements of lists in it.
    pub(crate) fn shows_elements(&self, shown: Option<&[Shown]>) -> bool {
        let is_list = |column: usize| self.lists.iter().any(|list| list.column == column);
        match shown {
            None => !self.lists.is_empty(),
            Some(shown) => shown
                .iter()
                .any(|shown| shown.part != Part::Length && is_list(shown.column)),
        }
    }

    /// The names of the group's columns.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        let columns = self.grouped.fields().iter().take(self.key_types.len());
        columns.map(|field| field.name().as_str())
    }

    /// The streams it reads, each once.
    pub(crate) fn streams(&self) -> Vec<&str> {
        let mut streams: Vec<&str> = self.inputs.iter().map(|input| input.source.stream()).collect();
        streams.sort_unstable();
        streams.dedup();
        streams
    }

    /// The ways in from a source.
    pub(crate) fn inputs_of<'a>(&'a self, source: &Source) -> impl Iterator<Item = &'a Input> {
        self.inputs.iter().filter(move |input| input.source == *source)
    }

    /// Whether the tombstones of a stream delete rows here.
    pub(crate) fn follows_tombstones(&self, stream: &str) -> bool {
        let is_followed = |input: &Input| matches!(&input.source, Source::Tombstones(of) if of == stream);
        self.inputs.iter().any(is_followed)
    }

    /// Whether of a stream's events the newest of each key alone count here: then nothing is missing that compaction took out.
    pub(crate) fn needs_newest_alone(&self, stream: &str) -> bool {
        let takes_each = |input: &Input| input.stages.iter().all(|stage| matches!(stage, Stage::Project(..)));
        let mut own = self.inputs.iter().filter(|input| input.source.stream() == stream);
        self.is_keyed && self.follows_tombstones(stream) && own.all(takes_each)
    }

    /// Takes events that have the columns of an input up to the aggregate.
    pub(crate) fn prepare(&self, input: &Input, events: &RecordBatch) -> Result<Prepared> {
        if self.is_per_event {
            let batch = input.rows(events)?;
            self.check_partitions(|column| batch.columns().get(column))?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let rows = RecordBatch::try_new_with_options(self.output.clone(), batch.columns().to_vec(), &options)?;
            return Ok(Prepared::Rows(rows));
        }
        let evaluated = input.evaluate(events)?;
        let place = |column: usize| self.key_columns.iter().position(|key| *key == column);
        self.check_partitions(|column| evaluated.group.get(place(column)?))?;
        let keys = match &self.keys {
            Some(converter) => Some(converter.convert_columns(&canonical(&evaluated.group))?),
            None => None,
        };
        Ok(Prepared::Groups(Grouped {
            rows: evaluated.rows,
            keys,
            arguments: evaluated.arguments,
            filters: evaluated.filters,
        }))
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
        let columns =
            values
                .iter()
                .zip(&self.key_types)
                .map(|(value, key_type)| match value.data_type() == *key_type {
                    true => value.to_array_of_size(1),
                    false => value.cast_to(key_type)?.to_array_of_size(1),
                });
        let columns: Vec<ArrayRef> = columns
            .collect::<Result<_>>()
            .map_err(|error| failed(error.strip_backtrace()))?;
        self.key_of(&columns)
    }

    /// The values that a key is made of.
    pub(crate) fn key_values(&self, key: &GroupKey) -> Result<Vec<ScalarValue>> {
        let columns = self.key_columns_of(&[&key.0])?;
        columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    /// Empty states.
    pub(crate) fn accumulators(&self) -> Result<Accumulators> {
        let gathering = |aggregate: &Aggregate| Gathering::new(&aggregate.keeping, || aggregate.accumulator());
        Ok(Accumulators(
            self.aggregates.iter().map(gathering).collect::<Result<_>>()?,
        ))
    }

    /// Events into states: the aggregate's first mode (events → state).
    pub(crate) fn update(
        &self,
        into: &mut Accumulators,
        events: &Grouped,
        groups: &[usize],
        groups_total: usize,
    ) -> Result<()> {
        for (index, (aggregate, gathering)) in self.aggregates.iter().zip(&mut into.0).enumerate() {
            gathering.update(
                (&aggregate.keeping, index as u16),
                &events.arguments[index],
                events.filters[index].as_ref(),
                groups,
                groups_total,
            )?;
        }
        Ok(())
    }

    /// States as the columns of the aggregates' states; none where there is no aggregate.
    pub(crate) fn state_columns(&self, states: &[&[u8]]) -> Result<Vec<ArrayRef>> {
        let Some(converter) = &self.states else {
            return Ok(Vec::new());
        };
        let parser = converter.parser();
        Ok(converter.convert_rows(states.iter().map(|state| parser.parse(state)))?)
    }

    /// States into states: its second mode (state + state → state).
    pub(crate) fn merge(
        &self,
        into: &mut Accumulators,
        mut states: &[ArrayRef],
        groups: &[usize],
        groups_total: usize,
    ) -> Result<()> {
        for (aggregate, gathering) in self.aggregates.iter().zip(&mut into.0) {
            let (own, rest) = states.split_at(aggregate.states);
            gathering.merge(own, groups, groups_total)?;
            states = rest;
        }
        Ok(())
    }

    /// Decides which of the values that were met are new: `is_new` says so of a group and a place.
    pub(crate) fn settle<E>(
        &self,
        of: &mut Accumulators,
        mut is_new: impl FnMut(usize, &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        for (number, gathering) in (0..).zip(&mut of.0) {
            gathering.settle(number, &mut is_new)?;
        }
        Ok(())
    }

    /// The states as columns, in the order of the groups, and the entries that are new.
    pub(crate) fn states(&self, of: Accumulators) -> Result<(Vec<ArrayRef>, Vec<NewEntries>)> {
        let (mut columns, mut entries) = (Vec::new(), Vec::new());
        for gathering in of.0 {
            let (states, new) = gathering.states()?;
            columns.extend(states);
            entries.push(new);
        }
        Ok((columns, entries))
    }

    /// The same as bytes; `None` where there is no aggregate and a state is no bytes at all.
    pub(crate) fn state_bytes(&self, states: &[ArrayRef]) -> Result<Option<Rows>> {
        let bytes = self.states.as_ref().map(|converter| converter.convert_columns(states));
        Ok(bytes.transpose()?)
    }

    /// Whether a state is that of a row, and not of one that a tombstone deleted.
    pub(crate) fn is_row(&self, states: &[ArrayRef], index: usize) -> bool {
        !self.is_keyed || states.first().is_some_and(|newest| newest.is_valid(index))
    }

    /// The place of the tombstone that deleted a state's row; `None` where it is a row.
    pub(crate) fn gone_at(&self, states: &[ArrayRef], index: usize) -> Option<Place> {
        match self.is_row(states, index) {
            true => None,
            false => place_of(states, index),
        }
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
}

impl Aggregate {
    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.function.groups_accumulator_supported() {
            return self.function.create_groups_accumulator();
        }
        let function = self.function.clone();
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || {
            function.create_accumulator()
        })))
    }

    /// The value of each group's state; of none where there is no state yet.
    fn value(&self, states: Option<&[ArrayRef]>, groups_total: usize) -> Result<ArrayRef> {
        let Some(states) = states else {
            // An accumulator of groups knows no group without an event.
            return self.function.create_accumulator()?.evaluate()?.to_array();
        };
        let groups: Vec<usize> = (0..groups_total).collect();
        let mut accumulator = self.accumulator()?;
        accumulator.merge_batch(states, &groups, groups_total)?;
        accumulator.evaluate(EmitTo::All)
    }
}

//! The states of one aggregate while a turn gathers, and the entries that it adds.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::Int64Type;
use arrow::row::RowConverter;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::Keeping;

/// The states of one aggregate, by group.
pub(crate) enum Gathering {
    /// Those that merge.
    State(Box<dyn GroupsAccumulator>),
    /// Lists, and the elements that are new.
    List(Counted),
    /// Sets, and the values that were met.
    Set(Counted, HashSet<Vec<u8>>),
}

/// How many entries each group has, and those that are new.
#[derive(Default)]
pub(crate) struct Counted {
    counts: Vec<i64>,
    new: NewEntries,
}

/// Entries of groups, one after another.
#[derive(Default)]
pub(crate) struct NewEntries {
    bytes: Vec<u8>,
    ends: Vec<Ends>,
}

/// An entry among others: its group, and where its place and its value end.
struct Ends {
    group: u32,
    place: usize,
    value: usize,
}

impl NewEntries {
    fn push(&mut self, group: usize, place: [&[u8]; 2], value: &[u8]) {
        place.iter().for_each(|part| self.bytes.extend_from_slice(part));
        let place = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push(Ends {
            group: group as u32,
            place,
            value: self.bytes.len(),
        });
    }

    /// Group, place and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |ends| {
            let place = &self.bytes[start..ends.place];
            start = ends.value;
            (ends.group as usize, place, &self.bytes[ends.place..ends.value])
        })
    }
}

impl Gathering {
    /// What it holds in memory, about.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Gathering::State(states) => states.size(),
            Gathering::List(entries) => entries.memory(),
            // Each value is among the new ones, too.
            Gathering::Set(entries, _) => 2 * entries.memory(),
        }
    }

    /// Nothing gathered yet. `of_states` makes the states of an aggregate that has no entries.
    pub(crate) fn new(
        keeping: &Keeping,
        of_states: impl FnOnce() -> Result<Box<dyn GroupsAccumulator>>,
    ) -> Result<Gathering> {
        Ok(match keeping {
            Keeping::State => Gathering::State(of_states()?),
            Keeping::List(_) => Gathering::List(Counted::default()),
            Keeping::Set(_) => Gathering::Set(Counted::default(), HashSet::new()),
        })
    }

    /// Takes events. `number`: that of the aggregate among those of the query.
    pub(crate) fn update(
        &mut self,
        (keeping, number): (&Keeping, u16),
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
        groups: &[usize],
        groups_total: usize,
    ) -> Result<()> {
        let number = number.to_be_bytes();
        let is_kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        match (self, keeping) {
            (Gathering::State(states), _) => states.update_batch(arguments, groups, filter, groups_total),
            (Gathering::List(lists), Keeping::List(values)) => {
                lists.reach(groups_total);
                let (values, ranks) = (
                    values.convert_columns(&arguments[..1])?,
                    arguments[1].as_binary::<i32>(),
                );
                for (row, group) in groups.iter().enumerate().filter(|(row, _)| is_kept(*row)) {
                    lists.counts[*group] += 1;
                    let place = [number.as_slice(), ranks.value(row)];
                    lists.new.push(*group, place, values.row(row).data());
                }
                Ok(())
            }
            (Gathering::Set(sets, met), Keeping::Set(values)) => {
                sets.reach(groups_total);
                meet(met, values, &arguments[0], groups, is_kept)
            }
            _ => Ok(()),
        }
    }

    /// Takes the states of rows.
    pub(crate) fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        match self {
            Gathering::State(own) => own.merge_batch(states, groups, groups_total),
            Gathering::List(counted) | Gathering::Set(counted, _) => {
                counted.reach(groups_total);
                let more = states[0].as_primitive::<Int64Type>();
                for (group, more) in groups.iter().zip(more.values()) {
                    counted.counts[*group] += more;
                }
                Ok(())
            }
        }
    }

    /// Of the values of sets that were met, those that are new become entries: `is_new` says so of a group and a place.
    pub(crate) fn settle<E>(
        &mut self,
        number: u16,
        mut is_new: impl FnMut(usize, &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let Gathering::Set(sets, met) = self else {
            return Ok(());
        };
        let mut place: Vec<u8> = Vec::new();
        for met in met.drain() {
            let Some((group, value)) = met.split_first_chunk::<4>() else {
                continue;
            };
            let group = u32::from_le_bytes(*group) as usize;
            place.clear();
            place.extend_from_slice(&number.to_be_bytes());
            place.extend_from_slice(value);
            if is_new(group, &place)? {
                sets.counts[group] += 1;
                sets.new.push(group, [&place, &[]], &[]);
            }
        }
        Ok(())
    }

    /// The states of all groups, and the entries that are new.
    pub(crate) fn states(self) -> Result<(Vec<ArrayRef>, NewEntries)> {
        match self {
            Gathering::State(mut states) => Ok((states.state(EmitTo::All)?, NewEntries::default())),
            Gathering::List(counted) | Gathering::Set(counted, _) => {
                let counts: ArrayRef = Arc::new(Int64Array::from(counted.counts));
                Ok((vec![counts], counted.new))
            }
        }
    }
}

impl Counted {
    fn memory(&self) -> usize {
        size_of_val(&self.counts[..]) + self.new.bytes.len() + size_of_val(&self.new.ends[..])
    }

    fn reach(&mut self, groups_total: usize) {
        self.counts.resize(groups_total.max(self.counts.len()), 0);
    }
}

/// Notes the values of groups, each once. NULL is no value.
fn meet(
    met: &mut HashSet<Vec<u8>>,
    converter: &RowConverter,
    values: &ArrayRef,
    groups: &[usize],
    is_kept: impl Fn(usize) -> bool,
) -> Result<()> {
    let bytes = converter.convert_columns(std::slice::from_ref(values))?;
    let nulls = values.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let mut value: Vec<u8> = Vec::new();
    for (row, group) in groups.iter().enumerate() {
        if !is_kept(row) || is_null(row) {
            continue;
        }
        value.clear();
        value.extend_from_slice(&(*group as u32).to_le_bytes());
        value.extend_from_slice(bytes.row(row).data());
        if !met.contains(&value) {
            met.insert(value.clone());
        }
    }
    Ok(())
}

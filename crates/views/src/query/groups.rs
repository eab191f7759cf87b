//! The keys of groups: of the values that they are made of, and of the events that belong to them.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;

use super::{Query, Source};
use crate::rows::entries::Keeping;
use crate::rows::keys::canonical;
use crate::{GroupKey, ViewError};

impl Query {
    /// The keys of the groups that events of a source belong to, each once.
    pub(crate) fn groups(&self, source: &Source, events: &RecordBatch) -> Result<Vec<GroupKey>> {
        let mut keys: Vec<GroupKey> = Vec::new();
        for input in self.inputs_of(source) {
            let (rows, columns) = input.groups(events)?;
            keys.extend(self.keys_of_groups(rows, &columns)?);
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Whether an event's group depends on what only the log knows of it.
    pub(crate) fn depends_on_append(&self) -> bool {
        self.inputs.iter().any(|input| input.depends_on_append)
    }

    /// For each event of a source the keys of the groups that it belongs to; `None` where an event becomes several rows on its way.
    pub(crate) fn groups_of_each(&self, source: &Source, events: &RecordBatch) -> Result<Option<Vec<Vec<GroupKey>>>> {
        let mut keys: Vec<Vec<GroupKey>> = vec![Vec::new(); events.num_rows()];
        for input in self.inputs_of(source) {
            let Some((places, columns)) = input.groups_tracked(events)? else {
                return Ok(None);
            };
            let groups = self.keys_of_groups(places.len(), &columns)?;
            for (place, key) in places.into_iter().zip(groups) {
                keys[place].push(key);
            }
        }
        Ok(Some(keys))
    }

    /// The keys of the groups of these columns, which have the key's types: one for each row.
    pub(crate) fn keys_of_groups(&self, rows: usize, columns: &[ArrayRef]) -> Result<Vec<GroupKey>> {
        let Some(converter) = &self.keys else {
            return Ok(vec![GroupKey(Vec::new()); rows]);
        };
        let converted = converter.convert_columns(&canonical(columns))?;
        Ok(converted.iter().map(|row| GroupKey(row.data().to_vec())).collect())
    }

    /// The key of the group of the first row of these columns, which have the key's types.
    pub(crate) fn key_of(&self, columns: &[ArrayRef]) -> Result<GroupKey, ViewError> {
        let keys = self.keys_of_groups(1, columns);
        let keys =
            keys.map_err(|error| ViewError::Failed(format!("the values are no key: {}", error.strip_backtrace())))?;
        Ok(keys.into_iter().next().unwrap_or(GroupKey(Vec::new())))
    }

    /// The columns that these keys are made of.
    pub(crate) fn key_columns_of(&self, keys: &[&[u8]]) -> Result<Vec<ArrayRef>> {
        let Some(converter) = &self.keys else {
            return Ok(Vec::new());
        };
        let parser = converter.parser();
        Ok(converter.convert_rows(keys.iter().map(|key| parser.parse(key)))?)
    }

    /// Whether a state is the same however the events that went into it were put together: not where their order counts or numbers are rounded, and
    /// only where the state is all that is kept of a row.
    pub(crate) fn is_exact(&self) -> bool {
        let is_exact = |field: &FieldRef| !has_floats(field.data_type());
        !self.is_keyed
            && !self.is_per_event
            && self.aggregates.iter().all(|aggregate| {
                let fields = aggregate.keeping.state_fields(&aggregate.function);
                matches!(aggregate.keeping, Keeping::State) && fields.is_ok_and(|fields| fields.iter().all(is_exact))
            })
    }
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            has_floats(field.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        _ => false,
    }
}

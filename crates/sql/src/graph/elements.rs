//! The vertices or the edges that a traversal has met, each under a number, with their rows as far as these were asked for.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::compute::{cast, interleave};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{DataFusionError, Result};

use super::model::PropertyPlace;
use super::rows::{Codec, Found};

/// The number of an element.
pub(super) type Id = u32;

/// What an element takes besides its key, roughly: its place in two tables, its row's address.
const ELEMENT_BYTES: usize = 96;

/// Elements of one kind.
#[derive(Default)]
pub(super) struct Elements {
    /// For each table the numbers by key.
    ids: Vec<HashMap<Arc<[u8]>, Id>>,
    elements: Vec<Element>,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

struct Element {
    table: usize,
    key: Arc<[u8]>,
    row: Row,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Unread,
    /// There is none: it is no element.
    Gone,
    At {
        batch: usize,
        row: usize,
    },
}

/// Where a variable's property is in each table; `None` where the table's elements do not have it.
pub(super) struct Places<'a> {
    pub(super) data_type: &'a DataType,
    pub(super) by_table: &'a [Option<PropertyPlace>],
}

impl Elements {
    /// None yet, of so many tables.
    pub(super) fn new(tables: usize) -> Elements {
        Elements {
            ids: vec![HashMap::new(); tables],
            ..Elements::default()
        }
    }

    /// The number of an element, and whether it was not met before.
    pub(super) fn intern(&mut self, table: usize, key: &[u8]) -> Result<(Id, bool)> {
        if let Some(id) = self.ids[table].get(key) {
            return Ok((*id, false));
        }
        let id = Id::try_from(self.elements.len())
            .map_err(|_| DataFusionError::ResourcesExhausted("more elements than can be counted".to_owned()))?;
        let key: Arc<[u8]> = key.into();
        self.bytes += key.len() + ELEMENT_BYTES;
        self.ids[table].insert(Arc::clone(&key), id);
        self.elements.push(Element {
            table,
            key,
            row: Row::Unread,
        });
        Ok((id, true))
    }

    pub(super) fn table(&self, id: Id) -> usize {
        self.elements[id as usize].table
    }

    pub(super) fn key(&self, id: Id) -> Arc<[u8]> {
        Arc::clone(&self.elements[id as usize].key)
    }

    /// Whether it was looked for and there is no row of it.
    pub(super) fn is_gone(&self, id: Id) -> bool {
        self.elements[id as usize].row == Row::Gone
    }

    /// About how much memory all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Looks for the rows of elements, where that was not done before. `find` looks them up in a table.
    pub(super) fn fetch(
        &mut self,
        ids: impl IntoIterator<Item = Id>,
        mut find: impl FnMut(usize, &[&[u8]]) -> Result<Option<Found>>,
    ) -> Result<()> {
        let mut by_table: Vec<Vec<Id>> = vec![Vec::new(); self.ids.len()];
        for id in ids {
            let element = &self.elements[id as usize];
            if element.row == Row::Unread {
                by_table[element.table].push(id);
            }
        }
        for (table, mut ids) in by_table.into_iter().enumerate() {
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                continue;
            }
            let keys: Vec<Arc<[u8]>> = ids.iter().map(|id| self.key(*id)).collect();
            let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
            let Some((rows, places)) = find(table, &keys)? else {
                continue;
            };
            let batch = self.batches.len();
            for (id, place) in ids.iter().zip(places) {
                self.elements[*id as usize].row = place.map_or(Row::Gone, |row| Row::At { batch, row });
            }
            self.bytes += rows.get_array_memory_size();
            self.batches.push(rows);
        }
        Ok(())
    }

    /// The values of a property of elements whose rows were fetched. `codec` is that of a vertex table.
    pub(super) fn values<'c>(
        &self,
        ids: &[Id],
        places: &Places<'_>,
        codec: impl Fn(usize) -> Option<&'c Codec>,
    ) -> Result<ArrayRef> {
        let mut sources: Vec<ArrayRef> = vec![new_null_array(places.data_type, 1)];
        let mut of_batch: HashMap<(usize, usize), usize> = HashMap::new();
        let mut of_keys: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut taken: Vec<(usize, usize)> = vec![(0, 0); ids.len()];
        for (at, id) in ids.iter().enumerate() {
            let element = &self.elements[*id as usize];
            match (places.by_table[element.table], element.row) {
                (Some(PropertyPlace::Key), _) => of_keys.entry(element.table).or_default().push(at),
                (Some(PropertyPlace::Column(column)), Row::At { batch, row }) => {
                    let source = match of_batch.get(&(batch, column)) {
                        Some(source) => *source,
                        None => {
                            sources.push(cast(self.batches[batch].column(column), places.data_type)?);
                            of_batch.insert((batch, column), sources.len() - 1);
                            sources.len() - 1
                        }
                    };
                    taken[at] = (source, row);
                }
                _ => {}
            }
        }
        for (table, positions) in of_keys {
            let Some(codec) = codec(table) else { continue };
            let keys: Vec<Arc<[u8]>> = positions.iter().map(|at| self.key(ids[*at])).collect();
            let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
            sources.push(cast(&codec.decode(&keys)?, places.data_type)?);
            for (place, at) in positions.into_iter().enumerate() {
                taken[at] = (sources.len() - 1, place);
            }
        }
        let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&sources, &taken)?)
    }

    /// What tells each element from all others, as a text: its table, and the values of its key as JSON.
    pub(super) fn texts<'c>(
        &self,
        ids: &[Id],
        names: &[&str],
        key_columns: &[&[usize]],
        codec: impl Fn(usize) -> Option<&'c Codec>,
    ) -> Result<ArrayRef> {
        let mut texts: Vec<String> = Vec::with_capacity(ids.len());
        for id in ids {
            let element = &self.elements[*id as usize];
            let mut values: Vec<String> = Vec::new();
            match (codec(element.table), element.row) {
                (Some(codec), _) => values.push(array_value_to_string(&codec.decode(&[&element.key])?, 0)?),
                (None, Row::At { batch, row }) => {
                    for column in key_columns[element.table] {
                        values.push(array_value_to_string(self.batches[batch].column(*column), row)?);
                    }
                }
                (None, _) => {}
            }
            let json = serde_json::Value::from(values);
            texts.push(format!("{}{json}", names[element.table]));
        }
        Ok(Arc::new(StringArray::from(texts)))
    }
}

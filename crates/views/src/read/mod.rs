//! Reading a view: which rows, in which order, how many; all as of one position.
//!
//! ```text
//! resident rows (newer) ──┐
//!                         ├─ merged by key ─> decoded in portions ─> until there are enough
//! store, at its commit ───┘
//! ```
//!
//! The store is read as of its last commit, and what has changed since is copied under the same lock, so that both make one position; then the
//! lock is let go. Rows that are in memory alone are read under it.

pub(crate) mod reader;
pub(crate) mod subscribe;

use std::collections::BTreeMap;
use std::iter::Peekable;

use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashSet;
use headwater_records::Position;
use headwater_stores::{Direction, Reader, Row, Span, StoreError};

use crate::rows::entries::{EntriesOf, Lists, Pending, Shown, shown_schema};
use crate::rows::resident::Resident;
use crate::rows::row;
use crate::{GroupKey, View, ViewError};

/// How many rows are decoded from their states at once.
pub(crate) const ROWS_PER_BATCH: usize = 8_192;

/// Which rows are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those of these keys, where they exist.
    Keys(Vec<GroupKey>),
    /// Those whose keys are in one of these spans, which ascend and do not overlap.
    Spans(Vec<Span>),
}

/// What is asked of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Which rows.
    pub selection: Selection,
    /// In the order of their keys, NULL behind everything; `None`: in any order.
    pub order: Option<Direction>,
    /// So many at most.
    pub limit: Option<usize>,
    /// What of them; `None`: every column as it is.
    pub columns: Option<Vec<Shown>>,
}

/// Rows of a view, all as of one position.
pub struct Rows {
    /// The rows: in the view's output schema, or the columns that were asked for.
    pub batches: Vec<RecordBatch>,
    /// The position they stand at.
    pub position: Position,
}

impl Ask {
    /// All rows of a selection in any order.
    pub fn all_of(selection: Selection) -> Ask {
        Ask {
            selection,
            order: None,
            limit: None,
            columns: None,
        }
    }
}

/// The keys that a selection names, found fast.
enum Named<'a> {
    All,
    Keys(HashSet<&'a [u8]>),
    Spans(&'a [Span]),
}

impl Named<'_> {
    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Named::All => true,
            Named::Keys(keys) => keys.contains(key),
            Named::Spans(spans) => {
                let behind = spans.partition_point(|span| span.from.as_slice() <= key);
                behind.checked_sub(1).is_some_and(|at| spans[at].holds(key))
            }
        }
    }
}

impl Selection {
    fn named(&self) -> Named<'_> {
        match self {
            Selection::All => Named::All,
            Selection::Keys(keys) => Named::Keys(keys.iter().map(|key| key.0.as_slice()).collect()),
            Selection::Spans(spans) => Named::Spans(spans),
        }
    }

    /// The spans that are asked for; of keys there are none.
    fn spans(&self) -> Vec<Span> {
        match self {
            Selection::All => vec![Span::all()],
            Selection::Keys(_) => Vec::new(),
            Selection::Spans(spans) => spans.clone(),
        }
    }
}

impl View {
    /// Reads rows, all as of one position. Fast for keys; blocking on the disk for what is not resident.
    /// A view that stopped, or that is being built for the first time, has no rows to rely on and says so.
    pub fn read(&self, selection: &Selection) -> Result<Rows, ViewError> {
        self.ask(&Ask::all_of(selection.clone()))
    }

    /// The same, in an order and not more than wanted: what is not wanted is not read either.
    pub fn ask(&self, ask: &Ask) -> Result<Rows, ViewError> {
        self.check_readable()?;
        if self.is_per_event() {
            return Err(ViewError::Failed(format!(
                "the view '{}' has one row for each event and no keys: ask it with SQL",
                self.definition.name
            )));
        }
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        let position = resident.position.clone();
        let reader = self.folder.store.reader();
        let store = Some(reader.as_ref());
        let reads_entries = self.query.shows_elements(ask.columns.as_deref());
        let is_ordered = ask.order.is_some() || matches!(ask.selection, Selection::Spans(_));
        let batches = if let Selection::Keys(keys) = &ask.selection {
            // The lock is held until the store has answered, so that no commit comes between.
            let rows = self.some(&resident, keys, ask.order)?;
            let pending = match reads_entries {
                true => resident.entries.copied_of(keys.iter().map(|key| key.0.as_slice())),
                false => Pending::default(),
            };
            drop(resident);
            let pending = &pending;
            self.decoded(&mut rows.into_iter().map(Ok), ask, EntriesOf { pending, store })?
        } else if self.is_in_memory() && (is_ordered || reads_entries) {
            let direction = ask.order.unwrap_or(Direction::Ascending);
            let mut rows = resident.in_order(ask.selection.spans(), direction);
            let pending = &resident.entries;
            self.decoded(&mut rows.by_ref().map(Ok), ask, EntriesOf { pending, store: None })?
        } else {
            let wanted = ask.selection.named();
            let pending = match reads_entries {
                true => resident.entries.copied(|key| wanted.contains(key)),
                false => Pending::default(),
            };
            let entries = EntriesOf {
                pending: &pending,
                store,
            };
            if resident.is_complete && !is_ordered {
                let rows: Vec<Row> = resident.all().map(copied).collect();
                drop(resident);
                self.decoded(&mut rows.into_iter().map(Ok), ask, entries)?
            } else {
                let changed = resident.dirty().filter(|(key, _)| wanted.contains(key));
                let changed: BTreeMap<Vec<u8>, Vec<u8>> = changed.map(copied).collect();
                drop(resident);
                self.decoded(&mut merged(reader.as_ref(), changed, ask), ask, entries)?
            }
        };
        Ok(Rows { batches, position })
    }

    /// Reads rows of a store that has all of them.
    pub(crate) fn read_of(&self, reader: &dyn Reader, ask: &Ask) -> Result<Vec<RecordBatch>, ViewError> {
        let entries = EntriesOf {
            pending: &Pending::default(),
            store: Some(reader),
        };
        let Selection::Keys(keys) = &ask.selection else {
            return self.decoded(&mut merged(reader, BTreeMap::new(), ask), ask, entries);
        };
        let mut rows: Vec<Row> = Vec::with_capacity(keys.len());
        for GroupKey(key) in keys {
            rows.extend(reader.get(key)?.map(|value| (key.clone(), value)));
        }
        let rows = in_order(rows, ask.order);
        self.decoded(&mut rows.into_iter().map(Ok), ask, entries)
    }

    /// The schema of the rows that this gives.
    pub fn schema_of(&self, ask: &Ask) -> SchemaRef {
        shown_schema(&self.query.output, ask.columns.as_deref())
    }

    /// The part that is asked for of rows that show their keys and were read for more.
    pub fn cut(&self, rows: &[RecordBatch], ask: &Ask) -> Result<Vec<RecordBatch>, ViewError> {
        let failed = |error: ArrowError| ViewError::Failed(error.to_string());
        let rows = concat_batches(&self.query.output, rows).map_err(failed)?;
        let limit = ask.limit.unwrap_or(usize::MAX).min(rows.num_rows());
        if ask.order.is_none() && ask.selection == Selection::All {
            return Ok(vec![rows.slice(0, limit)]);
        }
        let keys = self.keys_of(&rows)?;
        let wanted = ask.selection.named();
        let mut places: Vec<u32> = Vec::new();
        for (place, GroupKey(key)) in (0..).zip(&keys) {
            if wanted.contains(key) {
                places.push(place);
            }
        }
        let key = |place: &u32| &keys[*place as usize];
        match ask.order {
            Some(Direction::Ascending) => places.sort_by(|one, other| key(one).cmp(key(other))),
            Some(Direction::Descending) => places.sort_by(|one, other| key(other).cmp(key(one))),
            None => {}
        }
        places.truncate(limit);
        let cut = take_record_batch(&rows, &UInt32Array::from(places)).map_err(failed)?;
        Ok(vec![cut])
    }

    /// The rows of some keys.
    fn some(&self, resident: &Resident, keys: &[GroupKey], order: Option<Direction>) -> Result<Vec<Row>, ViewError> {
        let mut seen = HashSet::with_capacity(keys.len());
        let mut rows = Vec::with_capacity(keys.len());
        for GroupKey(key) in keys {
            if !seen.insert(key) {
                continue;
            }
            let value = self.value(resident, key)?;
            rows.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(in_order(rows, order))
    }

    /// The view's rows from their states, as many as are asked for. A HAVING may leave out some.
    fn decoded(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, StoreError>>,
        ask: &Ask,
        entries: EntriesOf<'_>,
    ) -> Result<Vec<RecordBatch>, ViewError> {
        let (columns, lists) = (ask.columns.as_deref(), Lists::of(entries, self.lists_shown));
        let mut left = ask.limit.unwrap_or(usize::MAX);
        let mut portion = left.clamp(1, ROWS_PER_BATCH);
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut found_any = false;
        while left > 0 {
            let some: Vec<Row> = rows.take(portion).collect::<Result<_, _>>()?;
            if some.is_empty() {
                break;
            }
            found_any = true;
            let keys: Vec<&[u8]> = some.iter().map(|(key, _)| key.as_slice()).collect();
            let states: Vec<&[u8]> = some.iter().map(|(_, value)| row::state(value)).collect();
            let batch = self.query.shown(&keys, &states, columns, &lists)?;
            let batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            batches.push(batch);
            // Where few are left over, more are looked at at once.
            portion = (2 * portion).min(ROWS_PER_BATCH);
        }
        if !found_any && left > 0 && self.query.is_global() && ask.selection.named().contains(&[]) {
            batches.push(self.query.shown(&[], &[], columns, &lists)?);
        }
        Ok(batches)
    }
}

fn in_order(mut rows: Vec<Row>, order: Option<Direction>) -> Vec<Row> {
    match order {
        Some(Direction::Ascending) => rows.sort_unstable(),
        Some(Direction::Descending) => rows.sort_unstable_by(|one, other| other.cmp(one)),
        None => {}
    }
    rows
}

fn copied((key, value): (&[u8], &[u8])) -> Row {
    (key.to_vec(), value.to_vec())
}

/// The rows of the store, and over them those that changed since.
fn merged<'a>(
    reader: &'a dyn Reader,
    mut changed: BTreeMap<Vec<u8>, Vec<u8>>,
    ask: &Ask,
) -> impl Iterator<Item = Result<Row, StoreError>> + 'a {
    let direction = ask.order.unwrap_or(Direction::Ascending);
    let mut spans = ask.selection.spans();
    if direction == Direction::Descending {
        spans.reverse();
    }
    spans.into_iter().flat_map(move |span| {
        let mut own = changed.split_off(&span.from);
        if let Some(to) = &span.to {
            changed.append(&mut own.split_off(to));
        }
        let mut own: Vec<Row> = own.into_iter().collect();
        if direction == Direction::Descending {
            own.reverse();
        }
        Merged {
            stored: reader.rows(&span, direction).peekable(),
            changed: own.into_iter().peekable(),
            direction,
        }
    })
}

/// Two sources of rows, or of the entries of one, in the same order; where both have a key, the changed one counts.
pub(crate) struct Merged<S: Iterator<Item = Result<Row, StoreError>>, C: Iterator<Item = Row>> {
    pub stored: Peekable<S>,
    pub changed: Peekable<C>,
    pub direction: Direction,
}

impl<S: Iterator<Item = Result<Row, StoreError>>, C: Iterator<Item = Row>> Iterator for Merged<S, C> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((changed, _)) = self.changed.peek() else {
            return self.stored.next();
        };
        let Some(Ok((stored, _))) = self.stored.peek() else {
            // The end of the store's rows, or an error.
            return match self.stored.next() {
                Some(error) => Some(error),
                None => self.changed.next().map(Ok),
            };
        };
        let order = match self.direction {
            Direction::Ascending => stored.cmp(changed),
            Direction::Descending => changed.cmp(stored),
        };
        if order.is_lt() {
            return self.stored.next();
        }
        if order.is_eq() {
            self.stored.next();
        }
        self.changed.next().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        let row = |pair: &str| (pair.as_bytes()[..1].to_vec(), pair.as_bytes()[1..].to_vec());
        text.split_whitespace().map(row).collect()
    }

    #[test]
    fn what_changed_counts_in_either_order() {
        let check = |stored: &str, changed: &str, expected: &str| {
            for direction in [Direction::Ascending, Direction::Descending] {
                let [mut stored, mut changed, mut expected] = [stored, changed, expected].map(rows);
                if direction == Direction::Descending {
                    for rows in [&mut stored, &mut changed, &mut expected] {
                        rows.reverse();
                    }
                }
                let merged = Merged {
                    stored: stored.into_iter().map(Ok).peekable(),
                    changed: changed.into_iter().peekable(),
                    direction,
                };
                let found: Vec<Row> = merged.map(|row| row.expect("a row")).collect();
                assert_eq!(found, expected, "{direction:?}");
            }
        };
        check("a1 c1", "b2 c2 d2", "a1 b2 c2 d2");
        check("", "b2", "b2");
        check("a1 b1", "", "a1 b1");
        check("b1", "a2 b2", "a2 b2");
    }

    #[test]
    fn a_selection_names_what_its_spans_hold() {
        let span = |from: &str, to: &str| Span {
            from: from.as_bytes().to_vec(),
            to: Some(to.as_bytes().to_vec()),
        };
        let selection = Selection::Spans(vec![span("b", "d"), span("f", "g")]);
        for (key, expected) in [
            ("a", false),
            ("b", true),
            ("cz", true),
            ("d", false),
            ("f", true),
            ("g", false),
        ] {
            assert_eq!(selection.named().contains(key.as_bytes()), expected, "{key}");
        }
    }
}

//! The rows of a view as of one position, for as long as they are held: what takes several reads that must agree.
//!
//! Invariant: all reads of one reader give the rows as of its position, whatever is folded meanwhile. What was resident alone is committed when
//! it is opened: little where one was opened a moment ago. Rows that live in memory alone are copied.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use headwater_records::Position;
use headwater_stores::memory::MemoryStore;
use headwater_stores::{EntryOf, Header, Reader, Store};

use crate::query::RowsOf;
use crate::read::ROWS_PER_BATCH;
use crate::rows::entries::{EntriesOf, Lists, Pending};
use crate::rows::row;
use crate::shapes::{EdgeEnd, link_prefix};
use crate::{Ask, Rows, Selection, View, ViewError};

/// A view's rows as of one position.
pub struct ViewReader {
    view: Arc<View>,
    rows: Box<dyn Reader>,
    position: Position,
}

/// The keys of edges.
pub type EdgeKeys = Box<dyn Iterator<Item = Result<Vec<u8>, ViewError>> + Send>;

impl View {
    /// Its rows as they are now. Blocks on the disk.
    pub fn reader(self: &Arc<View>) -> Result<ViewReader, ViewError> {
        Ok(self.reader_with(|| ())?.0)
    }

    /// The same, with a step that is done where the reader stands: no row changes meanwhile.
    pub(crate) fn reader_with<T>(self: &Arc<View>, step: impl FnOnce() -> T) -> Result<(ViewReader, T), ViewError> {
        self.check_readable()?;
        if self.is_in_memory() {
            return Ok((self.copied()?, step()));
        }
        let reader = |position: &Position| ViewReader {
            view: Arc::clone(self),
            rows: self.folder.store.reader(),
            position: position.clone(),
        };
        {
            let resident = self.resident.read();
            self.check_whole(&resident)?;
            if resident.dirty().next().is_none() {
                return Ok((reader(&resident.position), step()));
            }
        }
        self.flush_then(|position| (reader(position), step()))
    }

    /// A copy of rows that no store has.
    fn copied(self: &Arc<View>) -> Result<ViewReader, ViewError> {
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        let links = match &self.edges {
            Some(edges) => edges.links(resident.all().map(|(key, _)| (key, true)))?,
            None => Vec::new(),
        };
        let entries: Vec<EntryOf<'_>> = resident.entries.to_write().collect();
        let header = Header {
            position: &resident.position,
            note: &[],
            snapshots: &[],
            moments: &[],
            links: &links,
            entries: &entries,
        };
        let copy = MemoryStore::default();
        copy.commit(&mut resident.all().map(|(key, value)| (key, Some(value))), header)?;
        Ok(ViewReader {
            view: Arc::clone(self),
            rows: copy.reader(),
            position: resident.position.clone(),
        })
    }

    /// How many rows are stored.
    pub fn row_count(&self) -> u64 {
        self.resident.read().rows
    }
}

impl ViewReader {
    /// The view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Where its rows stand.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The rows of some keys that are there, and for each key its place among them.
    pub fn find(&self, keys: &[&[u8]]) -> Result<(RecordBatch, Vec<Option<usize>>), ViewError> {
        let RowsOf { rows, places, unmade } = self.rows_of(keys)?;
        match unmade.into_values().next() {
            Some(error) => Err(error),
            None => Ok((rows, places)),
        }
    }

    /// The same, without the rows that cannot be worked out.
    pub(crate) fn rows_of(&self, keys: &[&[u8]]) -> Result<RowsOf, ViewError> {
        let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.rows.get(key)?);
        }
        let states: Vec<Option<&[u8]>> = values.iter().map(|value| value.as_deref().map(row::state)).collect();
        self.made(keys, &states)
    }

    /// Rows, as [`View::read`] gives them.
    pub fn read(&self, selection: &Selection) -> Result<Rows, ViewError> {
        self.ask(&Ask::all_of(selection.clone()))
    }

    /// Rows, as [`View::ask`] gives them.
    pub fn ask(&self, ask: &Ask) -> Result<Rows, ViewError> {
        Ok(Rows {
            batches: self.view.read_of(self.rows.as_ref(), ask)?,
            position: self.position.clone(),
        })
    }

    /// All rows that can be worked out, some at a time, and the keys that were looked at.
    pub(crate) fn portions(&self) -> impl Iterator<Item = Result<(Vec<Vec<u8>>, RowsOf), ViewError>> + Send {
        let mut rows = self.rows.under(&[]);
        let mut is_first = true;
        std::iter::from_fn(move || {
            let (mut keys, mut values): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
            for row in rows.by_ref().take(ROWS_PER_BATCH) {
                match row {
                    Ok((key, value)) => {
                        keys.push(key);
                        values.push(value);
                    }
                    Err(error) => return Some(Err(error.into())),
                }
            }
            // Without GROUP BY there is a row before the first event.
            let is_due = !keys.is_empty() || (is_first && self.view.query.is_global());
            is_first = false;
            is_due.then(|| {
                let shown: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let states: Vec<Option<&[u8]>> = values.iter().map(|value| Some(row::state(value))).collect();
                let rows = self.made(&shown, &states)?;
                Ok((keys, rows))
            })
        })
    }

    fn made(&self, keys: &[&[u8]], states: &[Option<&[u8]>]) -> Result<RowsOf, ViewError> {
        let entries = EntriesOf {
            pending: &Pending::default(),
            store: Some(self.rows.as_ref()),
        };
        let View { query, lists_shown, .. } = &*self.view;
        query.rows_of(keys, states, &Lists::of(entries, *lists_shown))
    }

    /// The keys of all rows, in order.
    pub fn keys(&self) -> EdgeKeys {
        Box::new(self.rows.under(&[]).map(|row| Ok(row?.0)))
    }

    /// The keys of the edges that have a vertex at this end. None where the view is no graph.
    pub fn edges_at(&self, end: EdgeEnd, vertex: &[u8]) -> EdgeKeys {
        match &self.view.edges {
            None => Box::new(std::iter::empty()),
            Some(edges) if edges.is_first(end) => Box::new(self.rows.under(vertex).map(|row| Ok(row?.0))),
            Some(_) => Box::new(self.rows.linked(&link_prefix(end, vertex)).map(|key| Ok(key?))),
        }
    }

    /// The vertices at one end of edges, by the edges' keys; `None` where it is NULL, which is no vertex.
    pub fn vertices(&self, end: EdgeEnd, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, ViewError> {
        match &self.view.edges {
            Some(edges) => edges.vertices(end, keys),
            None => Ok(keys.iter().map(|_| None).collect()),
        }
    }

    /// Whether every row that is stored is also shown.
    pub fn shows_all(&self) -> bool {
        self.view.query.shows_all()
    }
}

//! The rows of a document store as one commit left them.
//!
//! Invariant: rows come in the order of their keys. Keys that are kept by their beginning and a digest are put in order here.

use std::path::PathBuf;
use std::sync::Arc;

use fjall::{Keyspace, Readable};

use super::{closed, failed, format, malformed};
use crate::{Direction, Entries, Keys, Reader, Row, Rows, Span, StoreError, behind};

/// A snapshot of the trees.
pub(super) struct DocumentReader {
    pub(super) snapshot: fjall::Snapshot,
    pub(super) tree: Keyspace,
    pub(super) entries: Keyspace,
    pub(super) path: PathBuf,
    /// The trees are not closed while it is there.
    pub(super) _held: Arc<()>,
}

/// The rows of a store that is closed for the moment.
pub(super) struct ClosedReader {
    pub(super) path: PathBuf,
}

impl Reader for ClosedReader {
    fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Err(closed(&self.path))
    }

    fn rows(&self, _span: &Span, _direction: Direction) -> Rows {
        Box::new(std::iter::once(Err(closed(&self.path))))
    }

    fn entries(&self, _key: &[u8], _places: &Span, _direction: Direction) -> Entries {
        Box::new(std::iter::once(Err(closed(&self.path))))
    }

    fn linked(&self, _prefix: &[u8]) -> Keys {
        Box::new(std::iter::once(Err(closed(&self.path))))
    }
}

impl Reader for DocumentReader {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.snapshot.get(&self.tree, format::stored_key(key));
        let Some(stored) = stored.map_err(|error| failed(&self.path, &error))? else {
            return Ok(None);
        };
        let value = format::row_value(key, &stored).ok_or_else(|| malformed(&self.path))?;
        Ok(Some(value))
    }

    fn rows(&self, span: &Span, direction: Direction) -> Rows {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        let (from, to) = format::stored_span(span);
        let path = self.path.clone();
        let read = move |guard: fjall::Guard| -> Result<Row, StoreError> {
            let (key, value) = guard.into_inner().map_err(|error| failed(&path, &error))?;
            format::row(&key, &value).ok_or_else(|| malformed(&path))
        };
        let stored = self.snapshot.range(&self.tree, from..to);
        let rows: Rows = match direction {
            Direction::Ascending => Box::new(stored.map(read)),
            Direction::Descending => Box::new(stored.rev().map(read)),
        };
        Box::new(InOrder {
            rows,
            span: span.clone(),
            direction,
            run: Vec::new(),
            next: None,
        })
    }

    fn entries(&self, key: &[u8], places: &Span, direction: Direction) -> Entries {
        if places.is_empty() {
            return Box::new(std::iter::empty());
        }
        let of_row = format::entries_of(key);
        let bound = |place: &[u8]| [of_row.as_slice(), place].concat();
        let from = bound(&places.from);
        let stored = match places.to.as_deref().map(bound).or_else(|| behind(&of_row)) {
            Some(to) => self.snapshot.range(&self.entries, from..to),
            None => self.snapshot.range(&self.entries, from..),
        };
        let (path, before) = (self.path.clone(), of_row.len());
        let read = move |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(|error| failed(&path, &error))?;
            let place = key.get(before..).ok_or_else(|| malformed(&path))?;
            Ok((place.to_vec(), value.to_vec()))
        };
        match direction {
            Direction::Ascending => Box::new(stored.map(read)),
            Direction::Descending => Box::new(stored.rev().map(read)),
        }
    }

    fn linked(&self, prefix: &[u8]) -> Keys {
        let prefix = format::link_prefix(prefix);
        let links = self.snapshot.prefix(&self.tree, prefix.clone());
        let path = self.path.clone();
        Box::new(links.map(move |guard| {
            let (key, value) = guard.into_inner().map_err(|error| failed(&path, &error))?;
            format::linked_key(&prefix, &key, &value).ok_or_else(|| malformed(&path))
        }))
    }
}

/// Rows within a span, those with long keys put in order.
struct InOrder {
    rows: Rows,
    span: Span,
    direction: Direction,
    /// Rows in order, the next one last.
    run: Vec<Row>,
    /// What was read behind the run.
    next: Option<Row>,
}

impl InOrder {
    fn read(&mut self) -> Option<Result<Row, StoreError>> {
        match self.next.take() {
            Some(row) => Some(Ok(row)),
            None => self.rows.next(),
        }
    }

    /// Reads on to the end of the rows whose order the tree does not know.
    fn read_run(&mut self, first: Row) -> Result<(), StoreError> {
        self.run.push(first);
        while let Some(row) = self.rows.next().transpose()? {
            if !format::is_unordered(&self.run[0].0, &row.0) {
                self.next = Some(row);
                break;
            }
            self.run.push(row);
        }
        self.run.sort_unstable_by(|one, other| match self.direction {
            Direction::Ascending => other.0.cmp(&one.0),
            Direction::Descending => one.0.cmp(&other.0),
        });
        Ok(())
    }
}

impl Iterator for InOrder {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = match self.run.pop() {
                Some(row) => row,
                None => match self.read()? {
                    Ok(row) if !format::is_long(&row.0) => row,
                    Ok(row) => match self.read_run(row) {
                        Ok(()) => continue,
                        Err(error) => return Some(Err(error)),
                    },
                    Err(error) => return Some(Err(error)),
                },
            };
            if self.span.holds(&row.0) {
                return Some(Ok(row));
            }
        }
    }
}

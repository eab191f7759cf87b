//! A view in a table of column files, which other programs read.
//!
//! A view with GROUP BY keeps its rows in its store as every other does, and the rows that changed are merged into the table now and then. The store
//! says where the view stands; the table, how far it was merged.
//!
//! ```text
//! turn ─> resident rows, store          keys of changed rows ─> at an interval: table.replace(those rows as they are, position)
//! ```
//!
//! A view without GROUP BY has one row for each event, and is its table:
//!
//! ```text
//! turn ─> waiting rows ─> seal ─> table.append(rows, standing) ─> publish: the table as it is now, and the sealed rows go
//!          in memory       (the view's own thread, so that no other view of the stream waits for a disk far away)
//! readers: the table as it was published + the rows that wait, as of one position
//! ```
//!
//! Invariants
//! - Of a view without GROUP BY, the table says where it stands: rows and position are one commit of it. What waits in memory is folded again after a crash.
//! - A commit is tried again with the same rows and the same position until it is known to have taken place.
//! - What is published changes in one step, under the lock of the resident rows: no reader sees a row twice, or not at all.
//! - Rows that wait are bounded: a view that is full takes part in no turn until its table has them.

mod committer;
mod merge;
mod pending;
mod table;
mod waiting;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use headwater_records::Position;

use crate::limits::LAKE_WAITING_BYTES_MAX;
use crate::query::Input;
use crate::rows::image::ImageSpec;
use crate::{View, ViewError};

pub(crate) use committer::Lake;
pub(crate) use pending::Pending;
pub use table::{LakeTable, LakeVersion, Replaced, Standing};
pub(crate) use waiting::Waiting;

/// Opens tables of column files: they are another crate's, so that views know nothing of object storage.
pub trait Lakes: Send + Sync {
    /// Whether a view can be such a table at all: its columns, its partitions, its location. Touches no disk.
    fn check(&self, spec: &ImageSpec<'_>) -> Result<(), ViewError>;
    /// Opens a view's table, or makes it.
    fn open(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError>;
}

/// The rows of a view that is a table, all as of one position.
pub struct LakeRows {
    /// Those that are in column files; `None`: all wait in memory.
    pub table: Option<Arc<dyn TableProvider>>,
    /// Those that are not there yet.
    pub waiting: Vec<RecordBatch>,
    /// The schema of all of them.
    pub schema: SchemaRef,
    /// Where they stand.
    pub position: Position,
}

impl View {
    /// Whether it has one row for each event, and so no keys: it is read by [`View::lake_rows`] alone.
    pub fn is_per_event(&self) -> bool {
        self.query.is_per_event
    }

    /// Its rows, where it has one for each event.
    pub fn lake_rows(&self) -> Result<LakeRows, ViewError> {
        self.check_readable()?;
        let resident = self.resident.read();
        self.check_whole(&resident)?;
        Ok(LakeRows {
            table: resident.published.clone(),
            waiting: resident.waiting.batches(),
            schema: self.schema(),
            position: resident.position.clone(),
        })
    }

    /// Its rows below a position as far as an earlier version of its table has them, and where that stands; `None` where none is kept. May block on
    /// a disk far away.
    pub fn lake_as_of(&self, at: &Position) -> Result<Option<LakeVersion>, ViewError> {
        match &self.lake {
            Some(lake) => lake.table.as_of(at),
            None => Ok(None),
        }
    }

    /// The column of its rows that shows a column of its stream as it stands, where it has one row for each event, of one stream.
    pub fn passes_on(&self, column: &str) -> Option<usize> {
        if !self.is_per_event() || self.streams().len() != 1 {
            return None;
        }
        let shows = |input: &Input, at: usize| input.passed.get(at).is_some_and(|of| of.as_deref() == Some(column));
        let is_shown = |at: &usize| self.query.inputs.iter().all(|input| shows(input, *at));
        (0..self.query.output.fields().len()).find(is_shown)
    }

    /// What other programs see of it: its table as of the last commit. `None`: it has none.
    pub fn lake_source(&self) -> Option<Arc<dyn TableProvider>> {
        self.lake.as_ref().map(|lake| lake.table.source())
    }

    /// Whether it takes nothing for now: as many rows wait for its table as may, its last commit is to be tried again, or what it must park.
    pub(crate) fn is_full(&self) -> bool {
        let waits = || self.lake.is_some() && self.resident.read().waiting.bytes() >= LAKE_WAITING_BYTES_MAX;
        self.held_up.lock().is_some() || self.log_room.is_awaited() || waits()
    }
}

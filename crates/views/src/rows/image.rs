//! What a shape keeps beside the rows of a view: a search index, adjacency, a table of column files.
//!
//! ```text
//! turn ─> resident rows ─> flush: 1. image.commit(changed rows, position)   its own atomic write
//!                                 2. store.commit(changed rows, position)
//!                                 3. image.settle(the rows as of that commit)
//! ```
//!
//! Invariants
//! - An image takes rows by key: the same rows once more change nothing. A crash between the two writes folds again from the store's position,
//!   and brings the image the rows that it has already.
//! - An image is as far as the store, or further by the flush that a crash cut off; one that is less far is made anew with the store.
//! - It is derived: deleted, it comes back.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use headwater_catalog::ViewDefinition;
use headwater_records::Position;
use headwater_stores::Reader;

use crate::query::RowsOf;
use crate::rows::entries::Lists;
use crate::{View, ViewError};

/// What a shape keeps beside the rows.
pub trait Image: Any + Send + Sync {
    /// The position of its last commit; `None` in a new one.
    fn position(&self) -> Option<Position>;
    /// Takes changed rows and the position they stand at, all or nothing.
    fn commit(&self, changes: &Changes, position: &Position) -> Result<(), ViewError>;
    /// The store has committed the same rows, and here they are as of that commit: whoever reads both together may do so from now on.
    /// Called at the opening too, where there was a commit.
    fn settle(&self, _rows: Box<dyn Reader>, _position: &Position) -> Result<(), ViewError> {
        Ok(())
    }
    /// Bytes on disk or in memory, as far as they are really taken; those in the view's folder are counted with the store's.
    fn bytes(&self) -> u64;
}

/// Rows that changed since the last commit.
pub struct Changes {
    /// The keys of all of them.
    pub keys: Vec<Vec<u8>>,
    /// The rows that are there now, in the view's output schema.
    pub rows: RecordBatch,
    /// For each of [`Changes::keys`] its place in the rows; `None` where the row is there no more, or cannot be worked out.
    pub places: Vec<Option<usize>>,
    /// By the key's number, why a row cannot be worked out.
    pub unmade: BTreeMap<usize, ViewError>,
}

/// Which image is to be opened.
pub struct ImageSpec<'a> {
    /// The view.
    pub definition: &'a ViewDefinition,
    /// The schema of its rows.
    pub schema: SchemaRef,
    /// The columns of the schema that are its key.
    pub key_columns: &'a [usize],
    /// The folder of this version of the view; `None`: everything in memory.
    pub folder: Option<&'a Path>,
    /// The log that it is made of.
    pub log: u64,
    /// Another one has other rows: what is there from before is of no use.
    pub fingerprint: u64,
}

impl View {
    /// What its shape keeps beside the rows, where that is a `T`.
    pub fn image<T: Image>(&self) -> Option<&T> {
        let image: &dyn Any = self.image.as_deref()?;
        image.downcast_ref()
    }

    /// The rows that changed, as an image takes them. (A shape with an image keeps no lists.)
    pub(crate) fn changes<'a>(
        &self,
        changed: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        lists: &Lists<'_>,
    ) -> Result<Changes, ViewError> {
        let state = |(key, value)| (key, Some(crate::rows::row::state(value)));
        let (keys, states): (Vec<&[u8]>, Vec<Option<&[u8]>>) = changed.map(state).unzip();
        let RowsOf { rows, places, unmade } = self.query.rows_of(&keys, &states, lists)?;
        Ok(Changes {
            keys: keys.into_iter().map(<[u8]>::to_vec).collect(),
            rows,
            places,
            unmade,
        })
    }
}

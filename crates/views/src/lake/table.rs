//! A table of column files, as views know it: they know nothing of object storage.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use headwater_records::Position;

use crate::ViewError;

/// Where a table stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// All events below this position are in it.
    pub position: Position,
    /// A few bytes of the view's own.
    pub note: Vec<u8>,
}

/// An earlier version of a table.
pub struct LakeVersion {
    /// All events below this position are in it, and none beyond.
    pub position: Position,
    /// Its rows.
    pub rows: Arc<dyn TableProvider>,
}

/// Which rows of a table are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// All of them.
    All,
    /// Those with these keys: the bytes of the key's columns, as [`crate::key_fields`] has them written.
    Keys(HashSet<Vec<u8>>),
}

/// A table of column files. Its functions may block on a disk far away and are called from threads that may.
pub trait LakeTable: Send + Sync {
    /// Where its last commit left it; `None` in a new one.
    fn standing(&self) -> Option<Standing>;
    /// Adds rows and says where the table stands then, all or nothing. The same standing once more changes nothing.
    fn append(&self, rows: &[RecordBatch], standing: &Standing) -> Result<(), ViewError>;
    /// Puts rows into the place of others and says where the table stands then, all or nothing. The same standing once more changes nothing.
    fn replace(
        &self,
        replaced: &Replaced,
        rows: &mut (dyn Iterator<Item = Result<RecordBatch, ViewError>> + Send),
        standing: &Standing,
    ) -> Result<(), ViewError>;
    /// Keeps old versions so long from now on, in milliseconds; `None`: as long as tables do that do not say. Does not block.
    fn keep_versions(&self, milliseconds: Option<u64>);
    /// Does what is due: small files become large ones, what no version needs any more goes.
    fn tend(&self) -> Result<(), ViewError>;
    /// The rows as of its last commit. Does not block.
    fn source(&self) -> Arc<dyn TableProvider>;
    /// The newest of its earlier versions that holds nothing beyond a position, and where that stands; `None` where none is kept.
    fn as_of(&self, at: &Position) -> Result<Option<LakeVersion>, ViewError>;
    /// Bytes of the files that its rows are in.
    fn bytes(&self) -> u64;
}

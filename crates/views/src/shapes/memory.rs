//! The shape that keeps its rows in memory alone.
//!
//! The resident rows are all there is: nothing is written, nothing dropped to make room, and a start folds the whole log again. What the rows may
//! take is bounded, and a view that would take more stops: it says why, gives its memory back, and no other view is concerned.
//!
//! Invariant: such a view takes at most its bound, and what one turn of folding adds.

use std::sync::atomic::Ordering;

use headwater_catalog::{Shape, ViewDefinition};
use headwater_records::Position;

use crate::limits::MEMORY_BYTES_DEFAULT;
use crate::{View, ViewError};

/// The most bytes that a view's rows may take in memory; `None` where its shape does not bound them.
pub(crate) fn bytes_max(definition: &ViewDefinition) -> Option<u64> {
    match definition.shape {
        Some(Shape::Memory) => Some(definition.settings.memory_bytes.unwrap_or(MEMORY_BYTES_DEFAULT)),
        _ => None,
    }
}

impl View {
    /// Whether its rows are resident alone, so that nothing may be dropped and nothing need be written.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.folder.path().is_none()
    }

    /// Whether who was told the rows as of a position may have been told others than those that are here: before this start they were folded from what the
    /// streams kept then, and now they are without some of it.
    pub(crate) fn may_differ_from_what_was_told(&self, upto: &Position) -> bool {
        self.is_in_memory() && self.lacking.load(Ordering::Relaxed) > 0 && self.target.covers(upto)
    }

    /// Refuses rows beyond the bound.
    pub(crate) fn check_memory(&self) -> Result<(), ViewError> {
        let Some(bytes_max) = bytes_max(&self.said()) else {
            return Ok(());
        };
        let bytes = self.resident.read().bytes() as u64 + self.folder.store.bytes();
        if bytes <= bytes_max {
            return Ok(());
        }
        Err(ViewError::Failed(format!(
            "its rows take {bytes} bytes of memory, and it may take {bytes_max}: CREATE OR REPLACE it WITH (memory = '…') for more, or STORED AS \
             document, which keeps what does not fit on the disk"
        )))
    }

    /// Gives the memory of its rows back. It has stopped: nobody reads them.
    pub(crate) fn forget(&self) {
        if self.is_in_memory() {
            self.resident.write().clear();
        }
    }
}

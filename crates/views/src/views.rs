//! All running views: who folds what, and when it is flushed.

use std::path::Path;
use std::sync::Arc;

use headwater_catalog::Catalog;
use headwater_eventlog::EventLog;

use crate::{View, ViewError, ViewSpec};

/// How views are folded and flushed.
#[derive(Debug, Clone)]
pub struct ViewOptions {
    /// Dirty rows are flushed to the store at this many bytes,
    pub flush_bytes: usize,
    /// or after this time, whichever comes first.
    pub flush_ms: u64,
    /// The most bytes of resident rows of one view; clean rows above it are dropped and read from the store again.
    pub resident_bytes_max: usize,
}

/// The running views. Clones share them.
#[derive(Clone)]
pub struct Views {
    _inner: Arc<()>,
}

impl Views {
    /// Views whose stores live under `dir` (`DIR/<view>/`).
    pub fn open(log: EventLog, catalog: Catalog, dir: &Path, options: ViewOptions) -> Views {
        let _ = (log, catalog, dir, options);
        todo!()
    }

    /// Compiles a view (refusing, with the part named, what cannot be kept exact event by event), opens its store and folds from its position on.
    /// A view of the same name that runs is left as it is when the definition is the same; otherwise the new one is built beside it and takes its place when it has caught up.
    pub fn start(&self, spec: ViewSpec) -> Result<Arc<View>, ViewError> {
        let _ = spec;
        todo!()
    }

    /// Only compiles: the error that [`Views::start`] would give, and the output schema.
    pub fn check(&self, spec: &ViewSpec) -> Result<arrow::datatypes::SchemaRef, ViewError> {
        let _ = spec;
        todo!()
    }

    /// Stops a view and removes its store.
    pub fn remove(&self, name: &str) {
        let _ = name;
        todo!()
    }

    /// One running view.
    pub fn get(&self, name: &str) -> Option<Arc<View>> {
        let _ = name;
        todo!()
    }

    /// All running views, by name.
    pub fn all(&self) -> Vec<Arc<View>> {
        todo!()
    }

    /// Flushes every view and stops folding.
    pub fn close(&self) {
        todo!()
    }
}

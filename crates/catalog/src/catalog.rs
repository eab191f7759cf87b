//! The catalog: definitions folded from their stream.

use std::sync::Arc;

use headwater_eventlog::EventLog;
use tokio::sync::watch;

use crate::{Definition, StreamDefinition};

/// Everything defined. Clones share it.
#[derive(Clone)]
pub struct Catalog {
    _inner: Arc<()>,
}

/// What to do where the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// An error.
    Create,
    /// Leave what is there (it must be the same noun).
    IfNotExists,
    /// Put the new definition in its place (same noun; a stream only with what may change without touching its events).
    OrReplace,
}

/// What [`Catalog::define`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defined {
    /// It is new.
    Created,
    /// It took the place of an older definition.
    Replaced,
    /// It was there; nothing changed.
    Unchanged,
}

/// Why a definition was not made or dropped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("a {noun} '{name}' exists already: choose another name, or say IF NOT EXISTS or OR REPLACE")]
    Exists {
        /// What it is.
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// There is nothing of that name.
    #[error("there is no {noun} '{name}'")]
    Unknown {
        /// What was looked for.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// Something depends on it.
    #[error("{noun} '{name}' cannot be dropped: {dependents} depend(s) on it; drop those first")]
    Needed {
        /// What it is.
        noun: &'static str,
        /// Its name.
        name: String,
        /// What depends on it.
        dependents: String,
    },
    /// The definition breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// The log did not take it.
    #[error("the definition was not written: {0}")]
    Log(String),
}

impl Catalog {
    /// Folds `_headwater.catalog` (blocking: called before the doors open) (created where missing) and makes sure that every defined stream has its partitions.
    pub fn open(log: EventLog) -> Result<Catalog, CatalogError> {
        let _ = log;
        todo!()
    }

    /// One definition by name.
    pub fn get(&self, name: &str) -> Option<Arc<Definition>> {
        let _ = name;
        todo!()
    }

    /// The definition of a stream by name, internal ones (`_headwater.*`) included.
    pub fn stream(&self, name: &str) -> Option<Arc<StreamDefinition>> {
        let _ = name;
        todo!()
    }

    /// All definitions, by name.
    pub fn all(&self) -> Vec<Arc<Definition>> {
        todo!()
    }

    /// Writes a definition; visible and durable when this returns. Creates the stream's partitions in the log.
    pub async fn define(&self, definition: Definition, mode: CreateMode, principal: &str) -> Result<Defined, CatalogError> {
        let _ = (definition, mode, principal);
        todo!()
    }

    /// Drops a definition that nothing depends on. A dropped stream's events go with it.
    pub async fn drop(&self, noun: &'static str, name: &str, principal: &str) -> Result<(), CatalogError> {
        let _ = (noun, name, principal);
        todo!()
    }

    /// Grows with every change: wait for it, then look again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        todo!()
    }
}

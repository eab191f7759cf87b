//! Why a definition was not made or dropped.

use crate::definition::Definition;

/// Why a definition was not made or dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("a {noun} '{name}' exists already: choose another name, or say IF NOT EXISTS or OR REPLACE")]
    Exists {
        /// What it is.
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// The name is taken by what could not be replaced by this.
    #[error(
        "a {noun} '{name}' exists already, and does not become a {wanted}: choose another name, or drop the {noun} first"
    )]
    OfAnotherKind {
        /// What it is.
        noun: &'static str,
        /// Its name.
        name: String,
        /// What was to be made.
        wanted: &'static str,
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
    /// A stream has no such column.
    #[error("stream '{stream}' has no column '{column}': its columns are {columns}")]
    UnknownColumn {
        /// The stream.
        stream: String,
        /// The name that was looked for.
        column: String,
        /// Those there are.
        columns: String,
    },
    /// A stream has a column of that name.
    #[error("stream '{stream}' has a column '{column}' already: choose another name, or say IF NOT EXISTS")]
    ColumnExists {
        /// The stream.
        stream: String,
        /// The column.
        column: String,
    },
    /// The definition breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// Nothing is taken until there is room on the disk.
    #[error("the definition was not written: {0}")]
    Full(String),
    /// The log did not take it.
    #[error("the definition was not written: {0}")]
    Log(String),
}

impl CatalogError {
    /// For a name that is taken where `wanted` was to be made.
    pub fn taken(existing: &Definition, wanted: &'static str) -> CatalogError {
        let (noun, name) = (existing.noun(), existing.name().to_owned());
        match noun == wanted {
            true => CatalogError::Exists { noun, name },
            false => CatalogError::OfAnotherKind { noun, name, wanted },
        }
    }
}

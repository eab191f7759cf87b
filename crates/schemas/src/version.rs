//! The versions of a subject: as they are asked for, and as they are told.

use std::sync::Arc;

use crate::{Registered, SchemaError};

/// A version of a subject.
#[derive(Debug, Clone)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: u32,
    /// Its schema.
    pub registered: Arc<Registered>,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// A version as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Number(u32),
    /// The last one.
    Latest,
}

/// Which versions count: also those that were deleted, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted(pub bool);

impl Wanted {
    /// Reads a version: a number, `latest`, or `-1`, which says the same.
    pub fn read(text: &str) -> Result<Wanted, SchemaError> {
        match text {
            "latest" | "-1" => Ok(Wanted::Latest),
            number => match number.parse::<i32>() {
                Ok(number @ 1..) => Ok(Wanted::Number(number.unsigned_abs())),
                _ => Err(SchemaError::InvalidVersion(text.to_owned())),
            },
        }
    }
}

//! Why the registry says no, with the codes that its clients know.

use crate::limits::SUBJECT_BYTES_MAX;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no such subject.
    #[error("Subject '{0}' not found.")]
    UnknownSubject(String),
    /// The subject has no such version.
    #[error("Version {0} not found.")]
    UnknownVersion(String),
    /// There is no such schema.
    #[error("Schema {0}not found")]
    UnknownSchema(String),
    /// The subject was deleted.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectDeleted(String),
    /// The subject was not deleted.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotDeleted(String),
    /// The version was deleted.
    #[error("Subject '{0}' Version {1} was soft deleted. Set permanent=true to delete permanently")]
    VersionDeleted(String, u32),
    /// The version was not deleted.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotDeleted(String, u32),
    /// The subject has no level of its own.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoLevel(String),
    /// The subject has no mode of its own.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoMode(String),
    /// The schema may not follow those that are there.
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {}; change the schema, or the level with PUT /config/{subject}", .why.join("; "))]
    Incompatible {
        /// The subject.
        subject: String,
        /// What does not go together.
        why: Vec<String>,
    },
    /// The schema is none.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// The version is no version.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// The level is none.
    #[error(
        "Invalid compatibility level '{0}'. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel(String),
    /// The mode is none.
    #[error(
        "Invalid mode '{0}'. Valid values are READWRITE and READONLY: schemas are not imported with ids of their own"
    )]
    InvalidMode(String),
    /// The subject takes no schemas.
    #[error("Subject {0} is in read-only mode")]
    ReadOnly(String),
    /// The schema is needed.
    #[error("One or more references exist to the schema {0}: delete those first")]
    Referenced(String),
    /// The subject's name is none.
    #[error(
        "The specified subject '{0}' is not a valid subject: it has 1 to {SUBJECT_BYTES_MAX} bytes and no control characters"
    )]
    InvalidSubject(String),
    /// There is no room.
    #[error("The registry is full: {0}")]
    Full(String),
    /// The log did not take it.
    #[error("The schema was not written: {0}")]
    Log(String),
}

impl SchemaError {
    /// The code that clients know; its first three digits are HTTP's status.
    pub fn code(&self) -> u32 {
        match self {
            SchemaError::UnknownSubject(_) => 40401,
            SchemaError::UnknownVersion(_) => 40402,
            SchemaError::UnknownSchema(_) => 40403,
            SchemaError::SubjectDeleted(_) => 40404,
            SchemaError::SubjectNotDeleted(_) => 40405,
            SchemaError::VersionDeleted(..) => 40406,
            SchemaError::VersionNotDeleted(..) => 40407,
            SchemaError::NoLevel(_) => 40408,
            SchemaError::NoMode(_) => 40409,
            SchemaError::Incompatible { .. } => 409,
            SchemaError::InvalidSchema(_) => 42201,
            SchemaError::InvalidVersion(_) => 42202,
            SchemaError::InvalidLevel(_) => 42203,
            SchemaError::InvalidMode(_) => 42204,
            SchemaError::ReadOnly(_) => 42205,
            SchemaError::Referenced(_) => 42206,
            SchemaError::InvalidSubject(_) => 42208,
            SchemaError::Full(_) => 50701,
            SchemaError::Log(_) => 50001,
        }
    }
}

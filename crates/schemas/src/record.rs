//! What happened to the registry, as events of `_headwater.schemas`.
//!
//! ```text
//! key     the subject; empty where all are meant
//! value   JSON: {"what": "registered" | "deleted" | "level" | "mode", …}
//! beside  who and when, kept by the log; an id counts for events that were appended later
//! ```

use serde::{Deserialize, Serialize};

use crate::{Level, Mode, Schema};

/// The stream of schemas.
pub const SCHEMAS_STREAM: &str = "_headwater.schemas";

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub(crate) enum Record {
    /// A subject got a version.
    Registered {
        subject: String,
        version: u32,
        id: u32,
        #[serde(flatten)]
        schema: Schema,
    },
    /// Versions were deleted: hidden, or gone.
    Deleted {
        subject: String,
        versions: Vec<u32>,
        permanently: bool,
    },
    /// A level was set; of all subjects where none is named, and taken back where it is null.
    Level {
        subject: Option<String>,
        level: Option<Level>,
    },
    /// A mode was set, likewise.
    Mode {
        subject: Option<String>,
        mode: Option<Mode>,
    },
}

impl Record {
    /// The subject that it is about; empty: all.
    pub(crate) fn subject(&self) -> &str {
        match self {
            Record::Registered { subject, .. } | Record::Deleted { subject, .. } => subject,
            Record::Level { subject, .. } | Record::Mode { subject, .. } => subject.as_deref().unwrap_or_default(),
        }
    }
}

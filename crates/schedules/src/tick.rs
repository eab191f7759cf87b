//! Up to where a recurring schedule has come.

use bytes::Bytes;
use headwater_records::Event;
use serde::{Deserialize, Serialize};

const KEY_PREFIX: &str = "tick/";

/// The last tick of a recurring schedule whose events were appended, or that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The schedule.
    pub schedule: String,
    /// Which schedule of that name: when it was created, microseconds since 1970.
    pub created_us: i64,
    /// The tick's nominal time, microseconds since 1970.
    pub tick_us: i64,
}

/// The name in a record's key, where it is a tick's.
pub(crate) fn name_of(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_PREFIX)
}

pub(crate) fn key_of(schedule: &str) -> Bytes {
    Bytes::from(format!("{KEY_PREFIX}{schedule}"))
}

impl Tick {
    /// Its record.
    pub(crate) fn record(&self) -> Event {
        Event {
            key: Some(key_of(&self.schedule)),
            value: Some(Bytes::from(serde_json::to_vec(self).unwrap_or_default())),
            headers: Vec::new(),
            timestamp_ms: -1,
        }
    }
}

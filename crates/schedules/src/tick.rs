//! Up to where a recurring schedule has come.

use bytes::Bytes;
use headwater_eventlog::Part;
use headwater_records::{Batch, Compression, Event};
use serde::{Deserialize, Serialize};

use crate::SCHEDULES_STREAM;

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
    /// Its record, for the same append as its events.
    pub fn part(&self) -> Part {
        let event = Event {
            key: Some(key_of(&self.schedule)),
            value: Some(Bytes::from(serde_json::to_vec(self).unwrap_or_default())),
            headers: Vec::new(),
            timestamp_ms: -1,
        };
        Part {
            stream: SCHEDULES_STREAM.to_owned(),
            partition: 0,
            batch: Batch::encode(&[event], Compression::None, None),
        }
    }
}

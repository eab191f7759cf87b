//! Which stream events were promised to, and what they are once they are due: streams are dropped and made anew, and their schemas change, while events
//! wait for days.

use headwater_eventlog::EventLog;
use headwater_records::Event;
use serde::{Deserialize, Serialize};

use crate::Schedule;

/// The stream that events were promised to, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promised {
    /// Its id: 32 hexadecimal digits.
    stream_id: String,
    /// The version of its schema, where somebody knows schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

/// Knows the schemas of streams.
pub trait Streams: Send + Sync {
    /// The version of a stream's schema as it is now; `None`: there is no such stream.
    fn version(&self, stream: &str) -> Option<u32>;
    /// Events that were written for an earlier version of a stream's schema, as they are written now; or why they cannot be. Blocking.
    fn as_written_now(&self, stream: &str, version: u32, events: &[Event]) -> Result<Vec<Event>, String>;
}

impl Promised {
    /// The stream of a schedule as it is now; `None`: there is none.
    pub(crate) fn of(schedule: &Schedule, log: &EventLog, streams: Option<&dyn Streams>) -> Option<Promised> {
        let info = log.stream(&schedule.stream)?;
        Some(Promised {
            stream_id: format!("{:032x}", info.id),
            version: streams.and_then(|streams| streams.version(&schedule.stream)),
        })
    }

    /// The events of a schedule that is due, and the partitions that its stream has; or why they are not to be appended.
    pub(crate) fn kept(
        promised: Option<&Promised>,
        schedule: &Schedule,
        log: &EventLog,
        streams: Option<&dyn Streams>,
    ) -> Result<(u32, Vec<Event>), String> {
        let stream = schedule.stream.as_str();
        let info = log
            .stream(stream)
            .ok_or_else(|| format!("there is no stream '{stream}'"))?;
        let Some(promised) = promised else {
            return Ok((info.partitions, schedule.events.clone()));
        };
        if promised.stream_id != format!("{:032x}", info.id) {
            return Err(format!(
                "the stream '{stream}' that they were made for was dropped, and the one of that name is another"
            ));
        }
        let events = match (streams, promised.version) {
            (Some(streams), Some(version)) if streams.version(stream) != Some(version) => {
                streams.as_written_now(stream, version, &schedule.events)?
            }
            _ => schedule.events.clone(),
        };
        Ok((info.partitions, events))
    }
}

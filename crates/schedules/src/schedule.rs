//! One schedule, and its record in the stream.
//!
//! ```text
//! {"name": "late-42", "due": "2026-03-01T09:00:00Z", "stream": "reminders", "promised": {"stream_id": "0f…", "version": 1},
//!  "events": [{"key": "42", "value": {"order": 42}, "headers": [{"name": "h", "value": "v"}], "timestamp": 1772355600000}]}
//! ```
//!
//! A key or header value that is no text, and a value that is no JSON, stand as `key_base64` and `value_base64`: what comes back is byte for byte
//! what went in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use headwater_records::{Event, Header};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::ScheduleError;
use crate::limits::{NAME_BYTES_MAX, SCHEDULE_BYTES_MAX};
use crate::promised::Promised;

/// The stream of schedules.
pub const SCHEDULES_STREAM: &str = "_headwater.schedules";

const KEY_PREFIX: &str = "schedule/";

/// Events of one stream, to be appended together when they are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it is cancelled by.
    pub name: String,
    /// When it is due, microseconds since 1970; in the past: at once.
    pub due_us: i64,
    /// The stream that the events are for.
    pub stream: String,
    /// The events. A timestamp of -1 becomes the moment at which they are due.
    pub events: Vec<Event>,
}

/// When something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At this time, microseconds since 1970.
    At(i64),
    /// So long from now, microseconds.
    After(i64),
}

impl Moment {
    /// The time meant, where it is one that can be written: up to the year 9999.
    pub fn due_us(self, now_us: i64) -> Result<i64, ScheduleError> {
        let due_us = match self {
            Moment::At(at_us) => Some(at_us),
            Moment::After(by_us) => now_us.checked_add(by_us),
        };
        due_us
            .filter(|due_us| Timestamp::from_microsecond(*due_us).is_ok())
            .ok_or_else(|| {
                ScheduleError::Invalid("it would be due after the year 9999: choose an earlier moment".to_owned())
            })
    }
}

/// A moment as it is printed everywhere: RFC 3339, UTC.
pub(crate) fn printed(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string())
}

/// The key of a schedule's records.
pub(crate) fn key_of(name: &str) -> Bytes {
    Bytes::from(format!("{KEY_PREFIX}{name}"))
}

/// The name in a record's key, where it is a schedule's.
pub(crate) fn name_of(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_PREFIX)
}

impl Schedule {
    /// A name for one that nobody named.
    pub fn new_name() -> String {
        uuid::Uuid::new_v4().to_string()
    }

    /// Whether it can be kept.
    pub(crate) fn check(&self) -> Result<(), ScheduleError> {
        check_name(&self.name)?;
        Moment::At(self.due_us).due_us(0)?;
        let size = |event: &Event| {
            let headers = event.headers.iter();
            let headers: usize = headers
                .map(|header| header.name.len() + header.value.as_ref().map_or(0, Bytes::len))
                .sum();
            headers + event.key.as_ref().map_or(0, Bytes::len) + event.value.as_ref().map_or(0, Bytes::len)
        };
        let bytes: usize = self.events.iter().map(size).sum();
        match bytes > SCHEDULE_BYTES_MAX {
            true => Err(ScheduleError::TooLarge(format!(
                "its events have {bytes} bytes, more than the {SCHEDULE_BYTES_MAX} of one schedule: make several"
            ))),
            false => Ok(()),
        }
    }

    /// The value of its record.
    pub(crate) fn to_json(&self, promised: Option<&Promised>) -> Result<Vec<u8>, serde_json::Error> {
        let mut events: Vec<EventRecord> = Vec::with_capacity(self.events.len());
        for event in &self.events {
            events.push(EventRecord::new(event)?);
        }
        serde_json::to_vec(&ScheduleRecord {
            name: self.name.clone(),
            due: printed(self.due_us),
            stream: self.stream.clone(),
            promised: promised.cloned(),
            events,
        })
    }

    /// Reads the value of a record.
    pub(crate) fn from_json(json: &[u8]) -> Result<(Schedule, Option<Promised>), String> {
        let record: ScheduleRecord = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let mut events: Vec<Event> = Vec::with_capacity(record.events.len());
        for event in record.events {
            events.push(event.event()?);
        }
        let schedule = Schedule {
            due_us: microseconds(&record.due)?,
            name: record.name,
            stream: record.stream,
            events,
        };
        Ok((schedule, record.promised))
    }

    /// The schedule that the value of a record speaks of.
    pub fn of_record(json: &[u8]) -> Result<Schedule, String> {
        Schedule::from_json(json).map(|(schedule, _)| schedule)
    }

    /// Reads nothing of a record's value but when it is due.
    pub(crate) fn due_in_json(json: &[u8]) -> Result<i64, String> {
        #[derive(Deserialize)]
        struct Due<'a> {
            due: &'a str,
        }
        let record: Due<'_> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        microseconds(record.due)
    }
}

/// Whether this can be a schedule's name.
pub(crate) fn check_name(name: &str) -> Result<(), ScheduleError> {
    let why = |bytes| format!("the name of a schedule has 1 to {NAME_BYTES_MAX} bytes, this one has {bytes}");
    match name.len() {
        0 => Err(ScheduleError::Invalid(why(0))),
        1..=NAME_BYTES_MAX => Ok(()),
        bytes => Err(ScheduleError::TooLarge(why(bytes))),
    }
}

fn microseconds(text: &str) -> Result<i64, String> {
    let at: Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok(at.as_microsecond())
}

#[derive(Serialize, Deserialize)]
struct ScheduleRecord {
    name: String,
    due: String,
    stream: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promised: Option<Promised>,
    events: Vec<EventRecord>,
}

#[derive(Serialize, Deserialize)]
struct EventRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct HeaderRecord {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// A value that is there, also where it is `null`: that is JSON, and no value is another thing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// As text, or else in base64.
fn text_or_base64(bytes: Option<&Bytes>) -> (Option<String>, Option<String>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => (None, None),
        Some((_, Ok(text))) => (Some(text.to_owned()), None),
        Some((bytes, Err(_))) => (None, Some(BASE64.encode(bytes))),
    }
}

fn bytes_of(text: Option<String>, base64: Option<String>) -> Result<Option<Bytes>, String> {
    match (text, base64) {
        (Some(text), _) => Ok(Some(Bytes::from(text))),
        (None, Some(base64)) => Ok(Some(Bytes::from(
            BASE64.decode(base64).map_err(|error| error.to_string())?,
        ))),
        (None, None) => Ok(None),
    }
}

impl EventRecord {
    fn new(event: &Event) -> Result<EventRecord, serde_json::Error> {
        let (key, key_base64) = text_or_base64(event.key.as_ref());
        let mut value: Option<Box<RawValue>> = None;
        let mut value_base64: Option<String> = None;
        if let Some(bytes) = &event.value {
            // White space around a JSON text would not come back.
            let json = serde_json::from_slice::<Box<RawValue>>(bytes);
            value = json.ok().filter(|json| json.get().as_bytes() == bytes);
            if value.is_none() {
                value_base64 = Some(BASE64.encode(bytes));
            }
        }
        let headers = event.headers.iter().map(|header| {
            let (value, value_base64) = text_or_base64(header.value.as_ref());
            HeaderRecord {
                name: header.name.clone(),
                value,
                value_base64,
            }
        });
        Ok(EventRecord {
            key,
            key_base64,
            value,
            value_base64,
            headers: headers.collect(),
            timestamp: (event.timestamp_ms != -1).then_some(event.timestamp_ms),
        })
    }

    fn event(self) -> Result<Event, String> {
        let mut headers: Vec<Header> = Vec::with_capacity(self.headers.len());
        for header in self.headers {
            headers.push(Header {
                name: header.name,
                value: bytes_of(header.value, header.value_base64)?,
            });
        }
        let value = self.value.map(|json| String::from(Box::<str>::from(json)));
        Ok(Event {
            key: bytes_of(self.key, self.key_base64)?,
            value: bytes_of(value, self.value_base64)?,
            headers,
            timestamp_ms: self.timestamp.unwrap_or(-1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: Option<&[u8]>, value: Option<&[u8]>) -> Event {
        Event {
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::copy_from_slice),
            headers: vec![
                Header {
                    name: "a".to_owned(),
                    value: Some(Bytes::from_static(b"\xff")),
                },
                Header {
                    name: "a".to_owned(),
                    value: None,
                },
            ],
            timestamp_ms: -1,
        }
    }

    #[test]
    fn a_schedule_comes_back_byte_for_byte() {
        let check = |due_us: i64, events: Vec<Event>| {
            let schedule = Schedule {
                name: "n/ä".to_owned(),
                due_us,
                stream: "s".to_owned(),
                events,
            };
            let json = schedule.to_json(None).unwrap();
            assert_eq!(Schedule::from_json(&json), Ok((schedule, None)));
            assert_eq!(Schedule::due_in_json(&json), Ok(due_us));
        };
        check(0, Vec::new());
        check(-1, vec![event(None, None)]);
        check(1_772_355_600_000_001, vec![event(Some(b"k"), Some(b"{\"a\": 1.50}"))]);
        check(
            1,
            vec![event(Some(b"\xff\x00"), Some(b"null")), event(Some(b""), Some(b""))],
        );
        check(
            1,
            vec![
                event(None, Some(b" {}")),
                event(None, Some(b"\xff")),
                event(None, Some(b"no json")),
            ],
        );
        let at = Event {
            timestamp_ms: 7,
            ..event(None, Some(b"\"x\""))
        };
        check(253_402_200_000_000_000, vec![at]);
    }

    #[test]
    fn names_moments_and_sizes_have_bounds() {
        let check = |name_bytes: usize, moment: Moment, value_bytes: usize, expected: Result<(), &str>| {
            let made = moment.due_us(1_000).and_then(|due_us| {
                let value = vec![b'1'; value_bytes];
                let schedule = Schedule {
                    name: "n".repeat(name_bytes),
                    due_us,
                    stream: "s".to_owned(),
                    events: vec![Event {
                        value: Some(Bytes::from(value)),
                        ..Event::default()
                    }],
                };
                schedule.check()
            });
            match (made, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
                (made, expected) => panic!("{name_bytes} {moment:?} {value_bytes}: {made:?}, expected {expected:?}"),
            }
        };
        check(1, Moment::At(0), 1, Ok(()));
        check(NAME_BYTES_MAX, Moment::After(-5_000), SCHEDULE_BYTES_MAX, Ok(()));
        check(0, Moment::At(0), 1, Err("1 to 256 bytes"));
        check(NAME_BYTES_MAX + 1, Moment::At(0), 1, Err("this one has 257"));
        check(1, Moment::At(0), SCHEDULE_BYTES_MAX + 1, Err("make several"));
        check(1, Moment::At(253_402_200_000_000_000), 1, Ok(()));
        check(1, Moment::At(253_500_000_000_000_000), 1, Err("year 9999"));
        check(1, Moment::After(i64::MAX), 1, Err("year 9999"));
    }
}

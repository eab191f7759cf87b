//! The events of a stream from what a request says of them.
//!
//! Values are kept as they came. The key is made of the stream's `KEY` columns; to a stream without any, and to a tombstone, it is given beside the
//! value. An envelope takes what reading gives: `{"key": …, "value": …, "tombstone": …, "headers": [{"name": …, "value": …}], "timestamp": …}`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use headwater_catalog::StreamDefinition;
use headwater_records::{Event, Header};
use headwater_sql::encode::{EventEncoder, Unfit};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// One event as the envelope writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an event with its value")]
pub(crate) struct Envelope {
    /// Only where the events of one request may be of several.
    #[serde(default)]
    pub stream: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default, deserialize_with = "as_written")]
    value: Option<Box<RawValue>>,
    #[serde(default)]
    tombstone: bool,
    #[serde(default)]
    headers: Vec<EnvelopeHeader>,
    #[serde(default)]
    timestamp: Option<String>,
    /// What reading says of an event beside it, which the log says anew.
    #[serde(default, rename = "partition")]
    _partition: IgnoredAny,
    #[serde(default, rename = "offset")]
    _offset: IgnoredAny,
    #[serde(default, rename = "appended_at")]
    _appended_at: IgnoredAny,
    #[serde(default, rename = "principal")]
    _principal: IgnoredAny,
    #[serde(default, rename = "schema_version")]
    _schema_version: IgnoredAny,
}

/// A member that is there, also where it is `null`.
pub(crate) fn as_written<'a, D: Deserializer<'a>>(member: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(member).map(Some)
}

/// A header as the envelope writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeHeader {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

/// Where an event stands in its request, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Line(usize),
    Event(usize),
}

/// What a request says of one event.
pub(crate) struct Given {
    pub place: Place,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
    pub key: Option<Bytes>,
    pub headers: Vec<Header>,
    /// Of the writer; `None`: now.
    pub timestamp_ms: Option<i64>,
}

impl Given {
    /// From an envelope.
    pub(crate) fn of(place: Place, envelope: Envelope) -> Result<Given, Problem> {
        let value = match (envelope.value, envelope.tombstone) {
            (Some(value), false) => Some(Bytes::from(value.get().to_owned())),
            (Some(value), true) if value.get() != "null" => {
                return Err(unfit(place, "a tombstone has no value, and the envelope has one"));
            }
            (_, true) => None,
            (None, false) => {
                let why = "the envelope has no value; an event without any, which deletes the row of its key, says \"tombstone\": true";
                return Err(unfit(place, why));
            }
        };
        let timestamp_ms = match envelope.timestamp {
            None => None,
            Some(text) => {
                let refuse = |_| unfit(place, &format!("'{text}' is no timestamp as RFC 3339 writes it"));
                let at: jiff::Timestamp = text.parse().map_err(refuse)?;
                Some(at.as_millisecond())
            }
        };
        let header = |header: EnvelopeHeader| Header {
            name: header.name,
            value: header.value.map(Bytes::from),
        };
        Ok(Given {
            place,
            value,
            key: envelope.key.map(Bytes::from),
            headers: envelope.headers.into_iter().map(header).collect(),
            timestamp_ms,
        })
    }

    /// From the text of an envelope of the stream that the address names.
    pub(crate) fn parsed(place: Place, envelope: &[u8]) -> Result<Given, Problem> {
        let envelope: Envelope = serde_json::from_slice(envelope)
            .map_err(|error| unfit(place, &format!("it is no envelope of an event: {error}")))?;
        if envelope.stream.is_some() {
            return Err(unfit(place, "it names a stream, which the address does: leave it out"));
        }
        Given::of(place, envelope)
    }
}

/// What a request says of its events, without the moment at which it came: the same for a request that is sent again.
pub(crate) fn said(stream: &str, partition: Option<u32>, given: &[Given]) -> Vec<u8> {
    let mut said = format!("{}:{stream} {partition:?} ", stream.len()).into_bytes();
    let mut put = |part: Option<&[u8]>| {
        let length = part.map_or(-1, |part| part.len() as i64);
        said.extend_from_slice(&length.to_be_bytes());
        said.extend_from_slice(part.unwrap_or_default());
    };
    for given in given {
        put(given.key.as_deref());
        put(given.value.as_deref());
        put(given
            .timestamp_ms
            .map(i64::to_be_bytes)
            .as_ref()
            .map(<[u8; 8]>::as_slice));
        for header in &given.headers {
            put(Some(header.name.as_bytes()));
            put(header.value.as_deref());
        }
    }
    said
}

impl Place {
    fn name(self) -> (&'static str, usize) {
        match self {
            Place::Line(number) => ("line", number),
            Place::Event(number) => ("event", number),
        }
    }

    /// A problem with the event that stands here.
    pub(crate) fn mark(self, problem: Problem) -> Problem {
        let (what, number) = self.name();
        problem.with(what, number)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, number) = self.name();
        write!(f, "{what} {number}")
    }
}

/// The events, or the first that does not fit, with its place.
pub(crate) fn events(
    encoder: &EventEncoder,
    definition: &StreamDefinition,
    given: Vec<Given>,
) -> Result<Vec<Event>, Problem> {
    let mut values: Vec<Bytes> = Vec::with_capacity(given.len());
    let mut places: Vec<Place> = Vec::with_capacity(given.len());
    for given in &given {
        let Some(value) = &given.value else { continue };
        // A schema-free stream takes any text from Kafka; this door speaks JSON.
        if definition.columns.is_none()
            && let Err(error) = serde_json::from_slice::<IgnoredAny>(value)
        {
            return Err(unfit(given.place, &format!("it is no JSON: {error}")));
        }
        values.push(value.clone());
        places.push(given.place);
    }
    let now_ms = now_ms();
    let made = encoder
        .events_from_json(values, now_ms)
        .map_err(|Unfit { index, reason }| {
            let place = places.get(index).copied().unwrap_or(Place::Event(index + 1));
            unfit(place, &reason)
        })?;
    let mut made = made.into_iter();
    let mut events: Vec<Event> = Vec::with_capacity(given.len());
    for given in given {
        let event = match given.value {
            Some(_) => match made.next() {
                // The key that the columns make may be said, too: whatever is read is said with its key.
                Some(event) if !definition.key.is_empty() && given.key.is_some() && given.key != event.key => {
                    return Err(given.place.mark(key_is_made(definition)));
                }
                event => event.map(|event| Event {
                    key: given.key.or(event.key),
                    ..event
                }),
            },
            None => Some(tombstone(encoder, given.place, given.key, now_ms)?),
        };
        events.extend(event.map(|event| Event {
            headers: given.headers,
            timestamp_ms: given.timestamp_ms.unwrap_or(event.timestamp_ms),
            ..event
        }));
    }
    Ok(events)
}

fn tombstone(encoder: &EventEncoder, place: Place, key: Option<Bytes>, now_ms: i64) -> Result<Event, Problem> {
    let Some(key) = key else {
        return Err(unfit(
            place,
            "a tombstone says with its key which row it deletes, and this one has none",
        ));
    };
    encoder.tombstone(key, now_ms).map_err(|reason| unfit(place, &reason))
}

/// The 400 for a key beside a value of which the stream makes its key.
pub(crate) fn key_is_made(definition: &StreamDefinition) -> Problem {
    let columns = definition.key.join(", ");
    let detail = format!(
        "the key of '{}' is made of its columns ({columns}): send no other",
        definition.name
    );
    Problem::bad_request(detail).code("key_is_made")
}

fn unfit(place: Place, reason: &str) -> Problem {
    let problem = Problem::unfit(format!(
        "{place} does not fit the stream, and nothing was appended: {reason}"
    ));
    place.mark(problem).with("reason", reason)
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use headwater_catalog::{Column, ColumnType, Format};
    use headwater_schemas::Schemas;

    use super::*;

    fn definition(columns: Option<Vec<Column>>, key: &[&str]) -> StreamDefinition {
        StreamDefinition {
            name: "s".into(),
            columns,
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            time: None,
            kind: None,
            tags: Vec::new(),
            partitions: 2,
            format: Format::Json,
            statement: String::new(),
            ..StreamDefinition::default()
        }
    }

    fn typed() -> StreamDefinition {
        let column = |name: &str, column_type, nullable| Column::new(name, column_type, nullable);
        let columns = vec![
            column("account", ColumnType::Text, false),
            column("amount", ColumnType::Decimal(18, 2), true),
        ];
        definition(Some(columns), &["account"])
    }

    /// Values one a line, or envelopes.
    fn made(definition: &StreamDefinition, envelope: bool, body: &str) -> Result<Vec<Event>, Problem> {
        let mut given: Vec<Given> = Vec::new();
        for (index, line) in body.lines().enumerate() {
            let place = Place::Line(index + 1);
            given.push(match envelope {
                true => Given::parsed(place, line.as_bytes())?,
                false => Given {
                    place,
                    value: Some(Bytes::from(line.to_owned())),
                    key: None,
                    headers: Vec::new(),
                    timestamp_ms: None,
                },
            });
        }
        let encoder = EventEncoder::new(definition, &Schemas::default())?;
        events(&encoder, definition, given)
    }

    fn check(definition: &StreamDefinition, envelope: bool, body: &str, expected: Result<&[Option<&str>], &str>) {
        match (made(definition, envelope, body), expected) {
            (Ok(events), Ok(keys)) => {
                let found: Vec<Option<&str>> = events
                    .iter()
                    .map(|event| event.key.as_deref().map(|key| std::str::from_utf8(key).unwrap()))
                    .collect();
                assert_eq!(found, keys, "{body}");
            }
            (Err(problem), Err(why)) => assert!(problem.detail.contains(why), "{}", problem.detail),
            (found, expected) => panic!("{body}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn values_become_events_all_or_none() {
        check(
            &typed(),
            false,
            "{\"account\":\"a\",\"amount\":1.50}\n{\"account\":\"b\"}",
            Ok(&[Some("a"), Some("b")]),
        );
        check(&typed(), false, "{\"account\":\"a\"}\n{\"amount\":1}", Err("line 2"));
        check(&typed(), false, "{\"account\":\"a\"}\nno", Err("line 2"));
        check(&typed(), false, "{\"account\":\"a\",\"amount\":1.505}", Err("line 1"));
        check(&typed(), true, "{\"value\":{\"account\":\"a\"}}", Ok(&[Some("a")]));
        check(
            &typed(),
            true,
            "{\"key\":\"x\",\"value\":{\"account\":\"a\"}}",
            Err("made of its columns"),
        );
        let read = "{\"partition\":1,\"offset\":7,\"key\":\"a\",\"headers\":[],\"timestamp\":null,\"appended_at\":\"2026-01-01T00:00:00Z\",\"principal\":\"ann\",\"value\":{\"account\":\"a\"}}";
        check(&typed(), true, read, Ok(&[Some("a")]));
        let free = definition(None, &[]);
        check(&free, false, "1\n\"x\"", Ok(&[None, None]));
        check(&free, false, "nonsense", Err("no JSON"));
        check(&free, true, "{\"key\":\"x\",\"value\":[1]}", Ok(&[Some("x")]));
        check(&free, true, "{\"key\":\"x\"}", Err("no value"));
        check(
            &free,
            true,
            "{\"stream\":\"s\",\"value\":1}",
            Err("which the address does"),
        );
        check(
            &free,
            true,
            "{\"key\":\"x\",\"colour\":1,\"value\":1}",
            Err("no envelope"),
        );
        check(
            &free,
            true,
            "{\"value\":1,\"timestamp\":\"yesterday\"}",
            Err("no timestamp"),
        );
    }

    #[test]
    fn tombstones_have_the_key_that_their_rows_have() {
        let number = vec![Column::new("id", ColumnType::BigInt, false)];
        let numbered = definition(Some(number), &["id"]);
        let body = "{\"value\":{\"id\":7}}\n{\"key\":\"7\",\"value\":null,\"tombstone\":true}";
        check(&numbered, true, body, Ok(&[Some("7"), Some("7")]));
        let events = made(&numbered, true, body).unwrap();
        assert_eq!([events[0].value.is_some(), events[1].value.is_some()], [true, false]);
        check(
            &numbered,
            true,
            "{\"key\":\"07\",\"tombstone\":true}",
            Err("is no number"),
        );
        check(&numbered, true, "{\"tombstone\":true}", Err("this one has none"));
        check(
            &numbered,
            true,
            "{\"key\":\"7\",\"tombstone\":true,\"value\":1}",
            Err("has no value"),
        );
        check(
            &definition(None, &[]),
            true,
            "{\"key\":\"x\",\"tombstone\":true}",
            Ok(&[Some("x")]),
        );
    }

    #[test]
    fn an_envelope_carries_headers_and_time() {
        let body = "{\"value\":1,\"headers\":[{\"name\":\"h\",\"value\":\"x\"},{\"name\":\"n\"}],\"timestamp\":\"1970-01-01T00:00:01Z\"}";
        let events = made(&definition(None, &[]), true, body).unwrap();
        assert_eq!(events[0].timestamp_ms, 1_000);
        assert_eq!(events[0].headers.len(), 2);
        assert_eq!(events[0].headers[1].value, None);
    }
}

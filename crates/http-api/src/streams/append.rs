//! `POST /streams/{stream}/events`: one JSON value, or many as JSON lines, appended together or not at all.
//!
//! The key of a stream with `KEY` columns is made of them; of any other it is given by `Headwater-Key`, `?key=`, or the envelope. Values are
//! kept as they came. `?envelope=true` takes what reading gives: `{"key": …, "value": …, "headers": [{"name": …, "value": …}], "timestamp": …}`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::StreamDefinition;
use headwater_eventlog::Append;
use headwater_records::{Event, Header, Position};
use headwater_sql::encode::{EventEncoder, Unfit, pack};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{moment, no_partition, stream};
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL, Query};
use crate::router::Door;

/// The prefix of request headers that become headers of the events.
const EVENT_HEADER_PREFIX: &str = "headwater-header-";

/// One event as the envelope writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    value: Option<Box<RawValue>>,
    #[serde(default)]
    headers: Vec<EnvelopeHeader>,
    #[serde(default)]
    timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeHeader {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

/// Appends.
pub(crate) async fn append(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let definition = stream(&door, &name)?;
    let query = Query::new(&uri, &["key", "partition", "envelope"])?;
    let many = match request::media_type(&headers)?.as_deref() {
        None | Some("application/json") => false,
        Some("application/x-ndjson" | "application/jsonl" | "application/x-jsonlines") => true,
        Some(other) => return Err(request::unsupported(other, "application/json or application/x-ndjson")),
    };
    let partition = query.number("partition", u64::from(u32::MAX))?;
    if let Some(partition) = partition.filter(|partition| *partition >= u64::from(definition.partitions)) {
        return Err(no_partition(&definition, partition));
    }
    let given = Given::new(&definition, &query, &headers)?;
    let body = request::body(&headers, body, door.options.body_bytes_max).await?;
    let values = match many {
        true => lines(&body),
        false => vec![(1, body)],
    };
    if values.is_empty() {
        return Err(
            Problem::bad_request("the body holds no event: send one JSON value, or one in each line").code("no_event"),
        );
    }
    let events = events(&definition, &given, values)?;
    let spread = door.state.engine.next_spread();
    let packed = match partition {
        None => pack(&name, definition.partitions, events, spread),
        Some(partition) => {
            let mut packed = pack(&name, 1, events, 0);
            for part in &mut packed.parts {
                part.partition = partition as u32;
            }
            packed
        }
    };
    let append = Append {
        parts: packed.parts.clone(),
        principal: PRINCIPAL.to_owned(),
        condition: None,
    };
    let appended = door.state.engine.log().append(append).await?;
    let addresses = packed.addresses(&appended, 0);
    let mut position = Position::new();
    for address in &addresses {
        position.advance(&address.stream, address.partition, address.offset + 1);
    }
    let events: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"stream": address.stream, "partition": address.partition, "offset": address.offset}))
        .collect();
    let position = position.to_string();
    let answer = json!({"events": events, "position": position, "appended_at": moment(appended.appended_at_us)});
    let mut response = Json(answer).into_response();
    if let Ok(value) = HeaderValue::from_str(&position) {
        response.headers_mut().insert(request::POSITION_HEADER, value);
    }
    Ok(response)
}

/// What the request says of its events besides their values.
struct Given {
    key: Option<Bytes>,
    headers: Vec<Header>,
    envelope: bool,
    timestamp_ms: i64,
}

impl Given {
    fn new(definition: &StreamDefinition, query: &Query, headers: &HeaderMap) -> Result<Given, Problem> {
        let envelope = query.flag("envelope")?;
        let key = request::text_header(headers, "headwater-key")?.or_else(|| query.get("key"));
        if key.is_some() && !definition.key.is_empty() {
            return Err(key_is_made(definition));
        }
        if key.is_some() && envelope {
            return Err(Problem::bad_request(
                "with envelope=true the key stands in the envelope, not beside it",
            ));
        }
        let mut event_headers: Vec<Header> = Vec::new();
        for name in headers.keys() {
            let Some(short) = name.as_str().strip_prefix(EVENT_HEADER_PREFIX) else {
                continue;
            };
            for value in headers.get_all(name) {
                let value = Some(Bytes::copy_from_slice(value.as_bytes()));
                event_headers.push(Header {
                    name: short.to_owned(),
                    value,
                });
            }
        }
        let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
        Ok(Given {
            key,
            headers: event_headers,
            envelope,
            timestamp_ms: now_ms(),
        })
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

fn key_is_made(definition: &StreamDefinition) -> Problem {
    let columns = definition.key.join(", ");
    let detail = format!(
        "the key of '{}' is made of its columns ({columns}): send no other",
        definition.name
    );
    Problem::bad_request(detail).code("key_is_made")
}

/// The lines that are not blank, with their numbers from 1.
fn lines(body: &Bytes) -> Vec<(usize, Bytes)> {
    let mut lines: Vec<(usize, Bytes)> = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            lines.push((index + 1, body.slice_ref(line)));
        }
    }
    lines
}

/// The events of the values, or the first that does not fit, with its line.
fn events(definition: &StreamDefinition, given: &Given, values: Vec<(usize, Bytes)>) -> Result<Vec<Event>, Problem> {
    let encoder = EventEncoder::new(definition)?;
    let mut numbers: Vec<usize> = Vec::with_capacity(values.len());
    let mut bodies: Vec<Bytes> = Vec::with_capacity(values.len());
    let mut envelopes: Vec<(Option<String>, Vec<Header>, Option<i64>)> = Vec::new();
    for (line, value) in values {
        numbers.push(line);
        match given.envelope {
            false => bodies.push(value),
            true => {
                let envelope: Envelope = serde_json::from_slice(&value)
                    .map_err(|error| unfit(line, &format!("it is no envelope of an event: {error}")))?;
                if envelope.key.is_some() && !definition.key.is_empty() {
                    return Err(key_is_made(definition).with("line", line));
                }
                let Some(value) = envelope.value else {
                    return Err(unfit(
                        line,
                        "the envelope has no value: tombstones are not taken through this door",
                    ));
                };
                bodies.push(Bytes::from(value.get().to_owned()));
                let header = |header: EnvelopeHeader| Header {
                    name: header.name,
                    value: header.value.map(Bytes::from),
                };
                let headers = envelope.headers.into_iter().map(header).collect();
                let timestamp_ms = match envelope.timestamp {
                    None => None,
                    Some(text) => {
                        let at: jiff::Timestamp = text
                            .parse()
                            .map_err(|_| unfit(line, &format!("'{text}' is no timestamp as RFC 3339 writes it")))?;
                        Some(at.as_millisecond())
                    }
                };
                envelopes.push((envelope.key, headers, timestamp_ms));
            }
        }
    }
    for (line, value) in numbers.iter().zip(&bodies) {
        // A schema-free stream takes any text from Kafka; this door speaks JSON.
        if definition.columns.is_none()
            && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(value)
        {
            return Err(unfit(*line, &format!("it is no JSON: {error}")));
        }
    }
    let mut events = encoder
        .events_from_json(bodies, given.timestamp_ms)
        .map_err(|Unfit { index, reason }| unfit(numbers.get(index).copied().unwrap_or(1), &reason))?;
    let mut envelopes = envelopes.into_iter();
    for event in &mut events {
        if let Some(key) = &given.key {
            event.key = Some(key.clone());
        }
        event.headers = given.headers.clone();
        if let Some((key, headers, timestamp_ms)) = envelopes.next() {
            event.headers.extend(headers);
            event.timestamp_ms = timestamp_ms.unwrap_or(event.timestamp_ms);
            if let Some(key) = key {
                event.key = Some(Bytes::from(key));
            }
        }
    }
    Ok(events)
}

fn unfit(line: usize, reason: &str) -> Problem {
    Problem::unfit(format!(
        "line {line} does not fit the stream, and nothing was appended: {reason}"
    ))
    .with("line", line)
    .with("reason", reason)
}

#[cfg(test)]
mod tests {
    use headwater_catalog::{Column, ColumnType, Format};

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
        }
    }

    fn typed() -> StreamDefinition {
        let column = |name: &str, column_type, nullable| Column {
            name: name.into(),
            column_type,
            nullable,
        };
        let columns = vec![
            column("account", ColumnType::Text, false),
            column("amount", ColumnType::Decimal(18, 2), true),
        ];
        definition(Some(columns), &["account"])
    }

    fn check(definition: &StreamDefinition, envelope: bool, body: &str, expected: Result<&[Option<&str>], &str>) {
        let given = Given {
            key: None,
            headers: Vec::new(),
            envelope,
            timestamp_ms: 7,
        };
        match (
            events(definition, &given, lines(&Bytes::from(body.to_owned()))),
            expected,
        ) {
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
    fn lines_become_events_all_or_none() {
        check(
            &typed(),
            false,
            "{\"account\":\"a\",\"amount\":1.50}\n\n{\"account\":\"b\"}\r\n",
            Ok(&[Some("a"), Some("b")]),
        );
        check(&typed(), false, "{\"account\":\"a\"}\n{\"amount\":1}", Err("line 2"));
        check(&typed(), false, "{\"account\":\"a\"}\n\nno", Err("line 3"));
        check(&typed(), false, "{\"account\":\"a\",\"amount\":1.505}", Err("line 1"));
        check(&typed(), true, "{\"value\":{\"account\":\"a\"}}", Ok(&[Some("a")]));
        check(
            &typed(),
            true,
            "{\"key\":\"x\",\"value\":{\"account\":\"a\"}}",
            Err("made of its columns"),
        );
        let free = definition(None, &[]);
        check(&free, false, "1\n\"x\"", Ok(&[None, None]));
        check(&free, false, "nonsense", Err("no JSON"));
        check(&free, true, "{\"key\":\"x\",\"value\":[1]}", Ok(&[Some("x")]));
        check(&free, true, "{\"key\":\"x\"}", Err("no value"));
        check(
            &free,
            true,
            "{\"key\":\"x\",\"colour\":1,\"value\":1}",
            Err("no envelope"),
        );
    }
}

//! `POST /streams/{stream}/events`: one JSON value, or many as JSON lines, appended together or not at all.
//! `POST /streams/{stream}/entities/{key}`: the same for the events of one entity.
//!
//! The key of a stream with `KEY` columns is made of them (but a tombstone's); of any other it is given by `Headwater-Key`, `?key=`, the envelope, or the address of
//! the entity. With an `Idempotency-Key` a request takes effect once, however often it is sent. `If-Match` says which version the entity must have, `If-None-Match: *` that it has no events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::Bytes;
use headwater_catalog::StreamDefinition;
use headwater_commands::{ClientAppend, StreamEvents};
use headwater_eventlog::{Condition, EntityVersion};
use headwater_records::{Event, Header, Version};
use headwater_schedules::{AFTER_HEADER, AT_HEADER, SCHEDULE_HEADER};

use super::entity::addressed;
use super::envelope::{Given, Place, events, key_is_made, said};
use super::later::{self, Later};
use super::{no_partition, stream};
use crate::appending::{self, answer, only_key};
use crate::body;
use crate::door::Door;
use crate::heeded::{self, EVENT_HEADER_PREFIX, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH};
use crate::precondition;
use crate::problem::Problem;
use crate::request::{self, Query};

const KEY_HEADER: &str = "headwater-key";

/// What an append may say of itself.
const TAKEN: [&str; 8] = [
    KEY_HEADER,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    AT_HEADER,
    AFTER_HEADER,
    SCHEDULE_HEADER,
    EVENT_HEADER_PREFIX,
];

/// Appends events with any keys.
pub(crate) async fn append(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let definition = stream(&door, &name)?;
    let query = Query::new(&uri, &["key", "partition", "envelope"])?;
    let key = match (request::text_header(&headers, KEY_HEADER)?, query.get("key")) {
        (Some(one), Some(other)) if one != other => {
            let detail = format!("the key is '{one}' in Headwater-Key and '{other}' in the address: send one of them");
            return Err(Problem::bad_request(detail).code("other_key"));
        }
        (one, other) => one.or(other),
    };
    if key.is_some() && !definition.key.is_empty() {
        return Err(key_is_made(&definition));
    }
    let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
    let given = given(&door, &definition, &query, &headers, body, key).await?;
    finish(&door, &definition, &query, &headers, given, None).await
}

/// Appends events of one entity.
pub(crate) async fn append_to_entity(
    State(door): State<Arc<Door>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (definition, key) = addressed(&door, &uri)?;
    let query = Query::new(&uri, &["partition", "envelope"])?;
    if headers.contains_key(KEY_HEADER) {
        let detail = "the key stands in the address: send no Headwater-Key beside it";
        return Err(Problem::bad_request(detail).code("other_key"));
    }
    let given = given(&door, &definition, &query, &headers, body, Some(key.clone())).await?;
    finish(&door, &definition, &query, &headers, given, Some(&key)).await
}

/// Refuses events of another entity than the address names.
fn check_entity(events: &[Event], key: &Bytes) -> Result<(), Problem> {
    let Some(other) = events.iter().find(|event| event.key.as_ref() != Some(key)) else {
        return Ok(());
    };
    let detail = format!(
        "the address names the entity '{}', and an event has the key '{}'; nothing was appended",
        String::from_utf8_lossy(key),
        String::from_utf8_lossy(other.key.as_deref().unwrap_or_default())
    );
    Err(Problem::bad_request(detail).code("other_key"))
}

/// What the body says of its events; `key` is that of all that have no other and whose columns do not make it.
async fn given(
    door: &Door,
    definition: &StreamDefinition,
    query: &Query,
    headers: &HeaderMap,
    body: Body,
    key: Option<Bytes>,
) -> Result<Vec<Given>, Problem> {
    let many = match request::media_type(headers)?.as_deref() {
        None | Some("application/json") => false,
        Some("application/x-ndjson" | "application/jsonl" | "application/x-jsonlines") => true,
        Some(other) => return Err(request::unsupported(other, "application/json or application/x-ndjson")),
    };
    // Events of a header that is not heeded would be appended now, without their key, or whatever came before.
    heeded::by_writer(headers, &TAKEN)?;
    let is_envelope = query.flag("envelope")?;
    // What is appended later happens when it is due, whenever it was sent.
    let later_ms = Later::read(headers, door.state.engine.log().now_us())?.map(|_| -1);
    let event_headers = event_headers(headers);
    let body = body::whole(headers, body, door.options.body_bytes_max).await?;
    let values = match many {
        true => lines(&body),
        false if body.trim_ascii().is_empty() => Vec::new(),
        false => vec![(1, body)],
    };
    if values.is_empty() {
        return Err(
            Problem::bad_request("the body holds no event: send one JSON value, or one in each line").code("no_event"),
        );
    }
    let mut given: Vec<Given> = Vec::with_capacity(values.len());
    for (number, value) in values {
        let place = Place::Line(number);
        let mut one = match is_envelope {
            true => Given::parsed(place, &value)?,
            false => Given {
                place,
                value: Some(value),
                key: None,
                headers: Vec::new(),
                timestamp_ms: None,
            },
        };
        if one.value.is_none() || definition.key.is_empty() {
            one.key = one.key.or_else(|| key.clone());
        }
        one.timestamp_ms = one.timestamp_ms.or(later_ms);
        one.headers.splice(0..0, event_headers.iter().cloned());
        given.push(one);
    }
    Ok(given)
}

/// Appends, under the condition that the request's headers name; `entity` is the one that all events must be of.
async fn finish(
    door: &Door,
    definition: &Arc<StreamDefinition>,
    query: &Query,
    headers: &HeaderMap,
    given: Vec<Given>,
    entity: Option<&Bytes>,
) -> Result<Response, Problem> {
    let partition = query.number("partition", u64::from(u32::MAX))?;
    if let Some(partition) = partition.filter(|partition| *partition >= u64::from(definition.partitions)) {
        return Err(no_partition(definition, partition));
    }
    let partition = partition.map(|partition| partition as u32);
    let expected = precondition::expected(headers)?;
    let once = appending::once(headers, || said(&definition.name, partition, &given))?;
    let encoder = door.state.engine.encoder(definition)?;
    let later = Later::read(headers, door.state.engine.log().now_us())?;
    let events = match events(&encoder, definition, given) {
        Ok(events) => events,
        Err(unfit) if later.is_some() => return Err(unfit),
        Err(unfit) => {
            let landed = appending::landed_before(door, once.as_ref(), unfit).await?;
            return Ok(answer(&landed.addresses, &landed, None));
        }
    };
    if let Some(entity) = entity {
        check_entity(&events, entity)?;
    }
    if let Some(later) = later {
        if partition.is_some() || expected.is_some() {
            let detail = "the partition of an event that is appended later is chosen when it is due, and it has no condition: \
                          leave partition, If-Match and If-None-Match out";
            return Err(Problem::bad_request(detail).code("malformed_schedule"));
        }
        return later::schedule(door, &definition.name, later, events, once).await;
    }
    let key = only_key(&events);
    let condition = match expected {
        None => None,
        Some(version) => Some(condition(definition, key.as_ref(), version)?),
    };
    let is_indexed = door.state.engine.log().stream(&definition.name);
    let is_indexed = is_indexed.is_some_and(|info| info.settings.is_indexed());
    let append = ClientAppend {
        streams: vec![StreamEvents {
            stream: definition.name.clone(),
            partitions: definition.partitions,
            partition,
            events,
        }],
        condition,
        once,
    };
    let landed = appending::append(door, append).await?;
    let last = landed.addresses.last().map(|address| address.version());
    let version = last.filter(|_| key.is_some() && is_indexed);
    Ok(answer(&landed.addresses, &landed, version))
}

fn condition(
    definition: &StreamDefinition,
    key: Option<&Bytes>,
    version: Option<Version>,
) -> Result<Condition, Problem> {
    let key = key.ok_or_else(|| {
        let detail = "If-Match and If-None-Match speak of one entity, and the events have no key, or not all the same; POST /events takes several conditions";
        Problem::bad_request(detail).code("not_one_entity")
    })?;
    Ok(Condition::Entity(EntityVersion {
        stream: definition.name.clone(),
        key: key.clone(),
        version,
    }))
}

/// The headers that every event of the request gets.
fn event_headers(headers: &HeaderMap) -> Vec<Header> {
    let mut found: Vec<Header> = Vec::new();
    for (name, value) in headers {
        if let Some(short) = name.as_str().strip_prefix(EVENT_HEADER_PREFIX) {
            found.push(Header {
                name: short.to_owned(),
                value: Some(Bytes::copy_from_slice(value.as_bytes())),
            });
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_the_blank_ones() {
        let body = Bytes::from_static(b"1\n\n {}\r\n\t\n2");
        let found: Vec<(usize, &[u8])> = vec![(1, b"1"), (3, b" {}\r"), (5, b"2")];
        let lines = lines(&body);
        assert_eq!(
            lines.iter().map(|(at, line)| (*at, line.as_ref())).collect::<Vec<_>>(),
            found
        );
    }
}

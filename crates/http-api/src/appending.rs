//! Appending what a request made: all its events in one step, under its condition, or none; once for each `Idempotency-Key`.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::condition::version_text;
use headwater_commands::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use headwater_commands::{ClientAppend, CommandError, Landed, Once};
use headwater_eventlog::AppendError;
use headwater_records::{Address, Event, Position, Version};
use serde::Serialize;

use crate::condition_failed;
use crate::door::Door;
use crate::json::digits::moment;
use crate::precondition;
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL};

/// Appends, and answers once everything is durable.
pub(crate) async fn append(door: &Door, append: ClientAppend) -> Result<Landed, Problem> {
    match door.state.commands.append(PRINCIPAL, append).await {
        Err(CommandError::Append(AppendError::ConditionFailed(failed))) => {
            let engine = &door.state.engine;
            Err(condition_failed::problem(engine.log(), engine.catalog(), *failed).await)
        }
        Err(CommandError::Append(error)) => Err(error.into()),
        landed => Ok(landed?),
    }
}

/// What the request's `Idempotency-Key` stands for.
pub(crate) fn once(headers: &HeaderMap, said: impl FnOnce() -> Vec<u8>) -> Result<Option<Once>, Problem> {
    let key = idempotency_key(headers)?;
    Ok(key.map(|key| Once { key, said: said() }))
}

/// The `Idempotency-Key` of a request.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let key = request::text_header(headers, "idempotency-key")?.map(str::trim);
    if key.is_some_and(|key| key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX) {
        let detail = format!("the Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
        return Err(Problem::bad_request(detail).code("malformed_idempotency_key"));
    }
    Ok(key.map(str::to_owned))
}

/// The one key that all events have; `None` where one has none, or they have several.
pub(crate) fn only_key(events: &[Event]) -> Option<Bytes> {
    let keys: BTreeSet<Option<&Bytes>> = events.iter().map(|event| event.key.as_ref()).collect();
    match keys.len() {
        1 => keys.first().copied().flatten().cloned(),
        _ => None,
    }
}

/// An answer's body.
#[derive(Serialize)]
struct Answer<'a> {
    events: Vec<Stands<'a>>,
    position: &'a str,
    appended_at: String,
    repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// Where an event stands.
#[derive(Serialize)]
struct Stands<'a> {
    stream: &'a str,
    partition: u32,
    offset: u64,
}

impl<'a> From<&'a Address> for Stands<'a> {
    fn from(address: &'a Address) -> Stands<'a> {
        Stands {
            stream: &address.stream,
            partition: address.partition,
            offset: address.offset,
        }
    }
}

/// What the client is told: where each event stands, in the order of the request, and the version of the entity where it is one's.
pub(crate) fn answer(addresses: &[Address], landed: &Landed, version: Option<Version>) -> Response {
    let mut position = Position::new();
    for address in addresses {
        position.advance(&address.stream, address.partition, address.offset + 1);
    }
    let position = position.to_string();
    let answer = Answer {
        events: addresses.iter().map(Stands::from).collect(),
        position: &position,
        appended_at: moment(landed.appended_at_us),
        repeated: landed.repeated,
        version: version.map(|version| version_text(Some(version))),
    };
    let mut response = Json(answer).into_response();
    let headers = response.headers_mut();
    request::put_position(headers, &position);
    if let Some(tag) = version.and_then(|version| precondition::tag(Some(version))) {
        headers.insert(header::ETAG, tag);
    }
    response
}

//! Appending what a request made: all its events in one step, under its condition, or none; once for each `Idempotency-Key`.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::condition::version_text;
use headwater_commands::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use headwater_commands::{ClientAppend, CommandError, Landed, Once};
use headwater_eventlog::AppendError;
use headwater_records::{Address, Event, Position, Version};

use crate::condition_failed;
use crate::door::Door;
use crate::heeded::IDEMPOTENCY_KEY;
use crate::json::digits::{put_digits, write_moment};
use crate::json::text::put_text;
use crate::precondition;
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL};

/// Appends, and answers once everything is durable.
pub(crate) async fn append(door: &Door, append: ClientAppend) -> Result<Landed, Problem> {
    match door.state.commands.append(PRINCIPAL, append).await {
        Err(CommandError::Append(AppendError::ConditionFailed(failed))) => {
            let engine = &door.state.engine;
            // In a box: appends that nothing is in the way of need no room for it.
            let problem = condition_failed::problem(engine.log(), engine.catalog(), *failed);
            Err(Box::pin(problem).await)
        }
        Err(CommandError::Append(error)) => Err(error.into()),
        landed => Ok(landed?),
    }
}

/// Where the events of an earlier request with the same key stand, for one whose events would not be taken any more; without any, why they are not.
pub(crate) async fn landed_before(door: &Door, once: Option<&Once>, unfit: Problem) -> Result<Landed, Problem> {
    let landed = match once {
        Some(once) => door.state.commands.landed(once).await?,
        None => None,
    };
    landed.ok_or(unfit)
}

/// What the request's `Idempotency-Key` stands for.
pub(crate) fn once(headers: &HeaderMap, said: impl FnOnce() -> Vec<u8>) -> Result<Option<Once>, Problem> {
    let key = idempotency_key(headers)?;
    Ok(key.map(|key| Once { key, said: said() }))
}

/// The `Idempotency-Key` of a request.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let key = request::text_header(headers, IDEMPOTENCY_KEY)?.map(str::trim);
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

/// How many bytes an answer with one event takes mostly.
const ANSWER_BYTES_USUAL: usize = 256;

/// What the client is told: where each event stands, in the order of the request, and the version of the entity where it is one's.
///
/// ```json
/// {"events": [{"stream": "s", "partition": 2, "offset": 17}], "position": "s/2@18", "appended_at": "…", "repeated": false, "version": "2:17"}
/// ```
pub(crate) fn answer(addresses: &[Address], landed: &Landed, version: Option<Version>) -> Response {
    let mut position = Position::new();
    let mut body: Vec<u8> = Vec::with_capacity(ANSWER_BYTES_USUAL);
    body.extend_from_slice(b"{\"events\":[");
    for (index, address) in addresses.iter().enumerate() {
        position.advance(&address.stream, address.partition, address.offset + 1);
        body.extend_from_slice(if index > 0 { b",{\"stream\":" } else { b"{\"stream\":" });
        put_text(&address.stream, &mut body);
        body.extend_from_slice(b",\"partition\":");
        put_digits(address.partition.into(), 1, &mut body);
        body.extend_from_slice(b",\"offset\":");
        put_digits(address.offset.into(), 1, &mut body);
        body.push(b'}');
    }
    let position = position.to_string();
    body.extend_from_slice(b"],\"position\":");
    put_text(&position, &mut body);
    body.extend_from_slice(b",\"appended_at\":\"");
    write_moment(landed.appended_at_us, &mut body);
    body.extend_from_slice(b"\",\"repeated\":");
    body.extend_from_slice(if landed.repeated { b"true" } else { b"false" });
    if let Some(version) = version {
        body.extend_from_slice(b",\"version\":");
        put_text(&version_text(Some(version)), &mut body);
    }
    body.push(b'}');
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request::put_position(headers, &position);
    if let Some(tag) = version.and_then(|version| precondition::tag(Some(version))) {
        headers.insert(header::ETAG, tag);
    }
    response
}

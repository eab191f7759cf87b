//! `POST /commands/{command}`: arguments in, events or a refusal out. `GET /commands`: what there is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use headwater_catalog::Definition;
use headwater_commands::{AppendedEvent, Arguments};
use headwater_sql::Session;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::problem::Problem;
use crate::request::{self, PRINCIPAL};
use crate::router::Door;
use crate::streams::moment;

/// The longest idempotency key: a key is remembered for a day, so its length is bounded.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Every command.
pub(crate) async fn list(State(door): State<Arc<Door>>) -> Json<Value> {
    let mut commands: Vec<Value> = Vec::new();
    for definition in door.state.engine.catalog().all() {
        if let Definition::Command(command) = definition.as_ref() {
            commands.push(json!({"name": command.name, "statement": command.statement, "sources": command.sources}));
        }
    }
    Json(json!({"commands": commands}))
}

/// Calls a command.
pub(crate) async fn call(
    State(door): State<Arc<Door>>,
    Path(command): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    match request::media_type(&headers)?.as_deref() {
        None | Some("application/json") => {}
        Some(other) => return Err(request::unsupported(other, "application/json")),
    }
    let key = request::text_header(&headers, "idempotency-key")?.map(str::trim);
    if key.is_some_and(|key| key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX) {
        let detail = format!("the Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
        return Err(Problem::bad_request(detail));
    }
    let body = request::body(&headers, body, door.options.body_bytes_max).await?;
    let arguments = Arguments::Named(arguments(&body)?);
    let session = Session {
        principal: PRINCIPAL.to_owned(),
        after: None,
        timeout: Some(door.options.request_max),
    };
    let (commands, key) = (door.state.commands.clone(), key.map(str::to_owned));
    // On the questions' runtime: a command's checks are questions. It goes on to its end if the client leaves.
    let task = door
        .state
        .questions
        .spawn(async move { commands.call(&session, &command, arguments, key.as_deref()).await });
    let outcome = task
        .await
        .map_err(|error| Problem::internal(format!("the command broke off: {error}")))??;
    let position = outcome.position.to_string();
    let answer = json!({
        "events": outcome.events.iter().map(event).collect::<Vec<Value>>(),
        "position": position,
        "appended_at": moment(outcome.appended_at_us),
        "repeated": outcome.repeated,
    });
    let mut response = (StatusCode::OK, Json(answer)).into_response();
    if let Ok(value) = HeaderValue::from_str(&position) {
        response.headers_mut().insert(request::POSITION_HEADER, value);
    }
    Ok(response)
}

fn event(event: &AppendedEvent) -> Value {
    json!({
        "stream": event.address.stream,
        "partition": event.address.partition,
        "offset": event.address.offset,
        "value": event.value,
    })
}

/// The arguments by name. A number that a float could not hold digit for digit is handed on as a text, which every column reads exactly.
fn arguments(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let wrong = |error: serde_json::Error| {
        Problem::bad_request(format!(
            "the arguments are no JSON object: {error}; send {{\"name\": value, …}}"
        ))
    };
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let raw: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).map_err(wrong)?;
    let mut arguments = Map::new();
    for (name, raw) in raw {
        let value: Value = serde_json::from_str(raw.get()).map_err(wrong)?;
        let value = match &value {
            Value::Number(number) if number.to_string() != raw.get() => Value::String(raw.get().to_owned()),
            _ => value,
        };
        arguments.insert(name, value);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_every_digit() {
        for (body, expected) in [
            (
                r#"{"a": 1, "b": "x", "c": null}"#,
                Ok(json!({"a": 1, "b": "x", "c": null})),
            ),
            (
                r#"{"a": 12345678901234567890.12}"#,
                Ok(json!({"a": "12345678901234567890.12"})),
            ),
            (r#"{"a": 20.10}"#, Ok(json!({"a": "20.10"}))),
            (r#"{"a": 20.5}"#, Ok(json!({"a": 20.5}))),
            ("", Ok(json!({}))),
            ("[1]", Err("no JSON object")),
            (r#"{"a": }"#, Err("no JSON object")),
        ] {
            match (arguments(body.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(Value::Object(found), expected, "{body}"),
                (Err(problem), Err(why)) => assert!(problem.detail.contains(why), "{}", problem.detail),
                (found, expected) => panic!("{body}: {found:?}, expected {expected:?}"),
            }
        }
    }
}

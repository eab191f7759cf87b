//! `POST /commands/{command}`: arguments in, events or a refusal out. `GET /commands`: what there is.
//!
//! `?dry_run=true` says what would be appended, `?explain=true` says why: both append nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_catalog::{CommandDefinition, Definition};
use headwater_commands::{AppendedEvent, Arguments, CommandError, ProposedEvent};
use headwater_sql::Session;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{Command, Statement};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::appending::idempotency_key;
use crate::body;
use crate::door::Door;
use crate::heeded::{self, IDEMPOTENCY_KEY};
use crate::json::digits::moment;
use crate::problem::Problem;
use crate::request::{self, PRINCIPAL, Query, stated};

/// Every command.
pub(crate) async fn list(State(door): State<Arc<Door>>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::new(&uri, &[])?;
    let mut commands: Vec<Value> = Vec::new();
    for definition in door.state.engine.catalog().all() {
        if let Definition::Command(command) = definition.as_ref() {
            let outputs = parsed(command).map_or(Vec::new(), |command| command.outputs);
            let into: Vec<&str> = outputs.iter().map(|output| output.stream.value.as_str()).collect();
            commands.push(json!({
                "name": command.name, "statement": command.statement, "into": into, "sources": command.sources,
            }));
        }
    }
    Ok(Json(json!({"commands": commands})))
}

/// A command as its statement says it.
pub(crate) fn parsed(definition: &CommandDefinition) -> Option<Command> {
    let statement = parse(&definition.statement, "").ok()?.pop()?.statement;
    match statement {
        Statement::CreateCommand { command, .. } => Some(command),
        _ => None,
    }
}

/// Calls a command.
pub(crate) async fn call(
    State(door): State<Arc<Door>>,
    Path(command): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let manner = manner(&uri)?;
    heeded::by_writer(&headers, &[IDEMPOTENCY_KEY])?;
    match request::media_type(&headers)?.as_deref() {
        None | Some("application/json") => {}
        Some(other) => return Err(request::unsupported(other, "application/json")),
    }
    let key = idempotency_key(&headers)?;
    let body = body::whole(&headers, body, door.options.body_bytes_max).await?;
    // A command without parameters may be called without a body.
    let arguments = Arguments::Json(if body.trim_ascii().is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    });
    let session = Session {
        principal: PRINCIPAL.to_owned(),
        after: None,
        timeout: Some(door.options.request_max),
        ..Session::default()
    };
    let commands = door.state.commands.clone();
    if manner != Manner::Do {
        return consider(&door, session, command, arguments, manner).await;
    }
    // What takes plans runs where questions do; what does not would only lose time on its way there and back.
    let runtime = match commands.is_quick(&command) {
        true => Handle::current(),
        false => door.state.questions.clone(),
    };
    let called = commands.call_on(&runtime, &session, &command, arguments, key.as_deref());
    let outcome = called.await?;
    let position = stated(&outcome.position);
    let answer = Answer {
        events: outcome.events.iter().map(event).collect(),
        position: position.as_deref(),
        appended_at: outcome.appended_at_us.map(moment),
        repeated: outcome.repeated,
    };
    let mut response = (StatusCode::OK, Json(answer)).into_response();
    if let Some(position) = position {
        request::put_position(response.headers_mut(), &position);
    }
    Ok(response)
}

/// What is wanted of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Do,
    DryRun,
    Explain,
}

fn manner(uri: &Uri) -> Result<Manner, Problem> {
    let query = Query::new(uri, &["dry_run", "explain"])?;
    match (query.flag("dry_run")?, query.flag("explain")?) {
        (_, true) => Ok(Manner::Explain),
        (true, false) => Ok(Manner::DryRun),
        (false, false) => Ok(Manner::Do),
    }
}

/// Decides without appending.
async fn consider(
    door: &Door,
    session: Session,
    command: String,
    arguments: Arguments,
    manner: Manner,
) -> Result<Response, Problem> {
    let commands = door.state.commands.clone();
    let task = door.state.questions.spawn(async move {
        if manner == Manner::Explain {
            return Ok(commands.explain(&session, &command, arguments).await?.json());
        }
        let (events, position) = commands.try_out(&session, &command, arguments).await?;
        let tried = Tried {
            dry_run: true,
            events,
            position: stated(&position),
        };
        // Texts and JSON that was written already: nothing in it fails.
        Ok(serde_json::to_string(&tried).unwrap_or_default())
    });
    let considered: Result<String, CommandError> = task
        .await
        .map_err(|error| Problem::internal(format!("the command broke off: {error}")))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, considered?).into_response())
}

/// What a command would do; values are exact to the last digit.
#[derive(Serialize)]
struct Tried {
    dry_run: bool,
    events: Vec<ProposedEvent>,
    /// `None` where nothing is read that could change.
    position: Option<String>,
}

/// What a command did.
#[derive(Serialize)]
struct Answer<'a> {
    events: Vec<Appended<'a>>,
    /// Where there are no events, there is no position behind them, and no moment.
    position: Option<&'a str>,
    appended_at: Option<String>,
    repeated: bool,
}

#[derive(Serialize)]
struct Appended<'a> {
    stream: &'a str,
    partition: u32,
    offset: u64,
    /// As it stands in the log: exact to the last digit.
    value: Option<&'a RawValue>,
}

fn event(event: &AppendedEvent) -> Appended<'_> {
    Appended {
        stream: &event.address.stream,
        partition: event.address.partition,
        offset: event.address.offset,
        value: serde_json::from_str(&event.json).ok(),
    }
}

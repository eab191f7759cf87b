//! `/compatibility`, `/config` and `/mode`: what may follow what, and whether anything may.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_schemas::{Level, Mode, SchemaError, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::{Given, Parameters, apart, document, flag, schemas};
use super::refusal::{Refusal, answer};
use crate::door::Door;
use crate::request::PRINCIPAL;

#[derive(Deserialize)]
struct GivenLevel {
    compatibility: String,
}

#[derive(Deserialize)]
struct GivenMode {
    mode: String,
}

/// Whether a schema would be taken behind one version.
pub(super) async fn check(
    State(door): State<Arc<Door>>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let wanted = Wanted::read(&version)?;
    judged(&door, subject, Some(wanted), &parameters, &headers, body).await
}

/// Whether a schema would be taken behind those that its subject's level compares with.
pub(super) async fn check_all(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    judged(&door, subject, None, &parameters, &headers, body).await
}

async fn judged(
    door: &Door,
    subject: String,
    wanted: Option<Wanted>,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given: Given = document(door, headers, body).await?;
    let (schemas, schema) = (schemas(door), given.schema()?);
    let why = apart(door, move || schemas.obstacles(&subject, wanted, schema)).await?;
    let mut judged = json!({"is_compatible": why.is_empty()});
    if flag(parameters, "verbose") {
        judged["messages"] = Value::from(why);
    }
    Ok(answer(&judged))
}

/// The level of all subjects that have none of their own.
pub(super) async fn level(State(door): State<Arc<Door>>) -> Response {
    let level = schemas(&door).own_level(None).unwrap_or_default();
    answer(&json!({"compatibilityLevel": level}))
}

/// Sets it.
pub(super) async fn set_level(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_level(&door, None, &headers, body).await
}

/// Takes it back, to what it is where nothing is said.
pub(super) async fn reset_level(State(door): State<Arc<Door>>) -> Result<Response, Refusal> {
    schemas(&door).set_level(None, None, PRINCIPAL).await?;
    Ok(answer(&json!({"compatibilityLevel": Level::default()})))
}

/// The level of one subject.
pub(super) async fn level_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let schemas = schemas(&door);
    let level = match flag(&parameters, "defaultToGlobal") {
        true => Some(schemas.level(&subject)),
        false => schemas.own_level(Some(&subject)),
    };
    let level = level.ok_or(SchemaError::NoLevel(subject))?;
    Ok(answer(&json!({"compatibilityLevel": level})))
}

/// Sets it.
pub(super) async fn set_level_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_level(&door, Some(&subject), &headers, body).await
}

/// Takes it back.
pub(super) async fn reset_level_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
) -> Result<Response, Refusal> {
    let schemas = schemas(&door);
    let level = schemas.own_level(Some(&subject));
    let level = level.ok_or_else(|| SchemaError::NoLevel(subject.clone()))?;
    schemas.set_level(Some(&subject), None, PRINCIPAL).await?;
    Ok(answer(&json!({"compatibilityLevel": level})))
}

async fn put_level(door: &Door, subject: Option<&str>, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let given: GivenLevel = document(door, headers, body).await?;
    let level: Level = given
        .compatibility
        .parse()
        .map_err(|()| SchemaError::InvalidLevel(given.compatibility))?;
    schemas(door).set_level(subject, Some(level), PRINCIPAL).await?;
    Ok(answer(&json!({"compatibility": level})))
}

/// The mode of all subjects that have none of their own.
pub(super) async fn mode(State(door): State<Arc<Door>>) -> Response {
    answer(&json!({"mode": schemas(&door).own_mode(None).unwrap_or_default()}))
}

/// Sets it.
pub(super) async fn set_mode(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_mode(&door, None, &headers, body).await
}

/// The mode of one subject.
pub(super) async fn mode_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let schemas = schemas(&door);
    let mode = schemas.own_mode(Some(&subject));
    let mode = mode.or_else(|| schemas.own_mode(None).filter(|_| flag(&parameters, "defaultToGlobal")));
    let mode = mode.ok_or(SchemaError::NoMode(subject))?;
    Ok(answer(&json!({"mode": mode})))
}

/// Sets it.
pub(super) async fn set_mode_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_mode(&door, Some(&subject), &headers, body).await
}

/// Takes it back.
pub(super) async fn reset_mode_of(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
) -> Result<Response, Refusal> {
    let schemas = schemas(&door);
    let mode = schemas.own_mode(Some(&subject));
    let mode = mode.ok_or_else(|| SchemaError::NoMode(subject.clone()))?;
    schemas.set_mode(Some(&subject), None, PRINCIPAL).await?;
    Ok(answer(&json!({"mode": mode})))
}

async fn put_mode(door: &Door, subject: Option<&str>, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let given: GivenMode = document(door, headers, body).await?;
    let mode: Mode = given.mode.parse().map_err(|()| SchemaError::InvalidMode(given.mode))?;
    schemas(door).set_mode(subject, Some(mode), PRINCIPAL).await?;
    Ok(answer(&json!({"mode": mode})))
}

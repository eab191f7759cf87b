//! `/schemas`: by id.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use headwater_schemas::{Deleted, Registered, SchemaError, SchemaType};
use serde_json::{Value, json};

use super::asked::{Parameters, flag, schemas};
use super::refusal::{Refusal, answer};
use super::shown::{Shown, text as text_of};
use crate::door::Door;

/// Lists the types of schemas.
pub(super) async fn types() -> Response {
    answer(&SchemaType::ALL)
}

/// The schema of an id.
pub(super) async fn schema(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let registered = by_id(&door, &id)?;
    let mut shown = Shown::of(&registered, &parameters);
    shown.max_id = flag(&parameters, "fetchMaxId").then(|| schemas(&door).id_max());
    Ok(answer(&shown))
}

/// The text of an id's schema, alone.
pub(super) async fn text(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let registered = by_id(&door, &id)?;
    Ok(text_of(&registered, &parameters).into_response())
}

/// The subjects that have an id's schema.
pub(super) async fn subjects(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let id = by_id(&door, &id)?.id;
    let versions = schemas(&door).versions_of(id, Deleted(flag(&parameters, "deleted")))?;
    let mut subjects: Vec<String> = versions.into_iter().map(|version| version.subject).collect();
    subjects.dedup();
    Ok(answer(&subjects))
}

/// The subjects and versions that have an id's schema.
pub(super) async fn versions(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let id = by_id(&door, &id)?.id;
    let versions = schemas(&door).versions_of(id, Deleted(flag(&parameters, "deleted")))?;
    let places: Vec<Value> = versions
        .iter()
        .map(|version| json!({"subject": version.subject, "version": version.version}))
        .collect();
    Ok(answer(&places))
}

fn by_id(door: &Door, id: &str) -> Result<Arc<Registered>, Refusal> {
    let found = id.parse().ok().and_then(|id| schemas(door).id(id));
    Ok(found.ok_or_else(|| SchemaError::UnknownSchema(format!("{id} ")))?)
}

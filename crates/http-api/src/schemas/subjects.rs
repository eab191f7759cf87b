//! `/subjects`: register, look up, list, delete.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use headwater_schemas::{Deleted, SchemaError, Wanted};
use serde_json::json;

use super::asked::{Given, Parameters, apart, document, flag, schemas};
use super::refusal::{Refusal, answer};
use super::shown::{Shown, text as text_of};
use crate::door::Door;
use crate::problem::Problem;
use crate::request::PRINCIPAL;

/// Lists the subjects.
pub(super) async fn list(State(door): State<Arc<Door>>, parameters: Parameters) -> Response {
    let mut subjects = schemas(&door).subjects(Deleted(flag(&parameters, "deleted")));
    if let Some(prefix) = parameters.get("subjectPrefix") {
        subjects.retain(|subject| subject.starts_with(prefix));
    }
    answer(&subjects)
}

/// Lists a subject's versions.
pub(super) async fn versions(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let versions = schemas(&door).versions(&subject, Deleted(flag(&parameters, "deleted")))?;
    let numbers: Vec<u32> = versions.iter().map(|version| version.version).collect();
    Ok(answer(&numbers))
}

/// Registers a schema, and answers with its id once that is durable.
pub(super) async fn register(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given: Given = document(&door, &headers, body).await?;
    let (schemas, schema) = (schemas(&door), given.schema()?);
    let registering = async move { schemas.register(&subject, schema, PRINCIPAL).await };
    let registered = door.state.questions.spawn(registering).await;
    let broke_off = |error| Problem::internal(format!("the request broke off: {error}"));
    let version = registered.map_err(broke_off)??;
    Ok(answer(
        &json!({"id": version.registered.id, "version": version.version}),
    ))
}

/// Under which version a subject has a schema.
pub(super) async fn lookup(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given: Given = document(&door, &headers, body).await?;
    let (schemas, schema) = (schemas(&door), given.schema()?);
    let deleted = Deleted(flag(&parameters, "deleted"));
    let found = apart(&door, move || schemas.lookup(&subject, schema, deleted)).await?;
    Ok(answer(&Shown::version(&found, &parameters)))
}

/// One version.
pub(super) async fn version(
    State(door): State<Arc<Door>>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let deleted = Deleted(flag(&parameters, "deleted"));
    let found = schemas(&door).version(&subject, Wanted::read(&version)?, deleted)?;
    Ok(answer(&Shown::version(&found, &parameters)))
}

/// The text of one version's schema, alone.
pub(super) async fn text(
    State(door): State<Arc<Door>>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let deleted = Deleted(flag(&parameters, "deleted"));
    let found = schemas(&door).version(&subject, Wanted::read(&version)?, deleted)?;
    Ok(text_of(&found.registered, &parameters).into_response())
}

/// The ids of the schemas that refer to a version.
pub(super) async fn referenced_by(
    State(door): State<Arc<Door>>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    Ok(answer(
        &schemas(&door).referenced_by(&subject, Wanted::read(&version)?)?,
    ))
}

/// Deletes a subject: hides its versions, or, once they are hidden and where that is said, for good.
pub(super) async fn delete(
    State(door): State<Arc<Door>>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let deleting = schemas(&door);
    let deleted = deleting.delete(&subject, None, flag(&parameters, "permanent"), PRINCIPAL);
    Ok(answer(&deleted.await?))
}

/// Deletes one version, likewise.
pub(super) async fn delete_version(
    State(door): State<Arc<Door>>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let wanted = Some(Wanted::read(&version)?);
    let deleting = schemas(&door);
    let deleted = deleting.delete(&subject, wanted, flag(&parameters, "permanent"), PRINCIPAL);
    match deleted.await?.as_slice() {
        [version] => Ok(answer(version)),
        _ => Err(SchemaError::UnknownVersion(version).into()),
    }
}

//! The schema registry, by the addresses, documents and codes that the clients of Confluent's know.
//!
//! | address | what |
//! | --- | --- |
//! | `/subjects`, `/subjects/{subject}`, `/subjects/{subject}/versions…` | register, look up, list, delete |
//! | `/schemas/ids/{id}…`, `/schemas/types` | by id |
//! | `/compatibility/subjects/{subject}/versions…` | would this schema be taken? |
//! | `/config…`, `/mode…` | levels, and whether schemas are taken |
//!
//! A refusal is `{"error_code": 40401, "message": "…"}`. Query parameters that are not known are left alone, as there.

mod ids;
mod levels;
mod subjects;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use headwater_schemas::{Parsed, Reference, Registered, Schema, SchemaError, SchemaType, Schemas, SubjectVersion};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::request;
use crate::router::Door;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The query parameters of a request.
type Parameters = Query<HashMap<String, String>>;

/// Every address.
pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::lookup).delete(subjects::delete))
        .route(
            "/subjects/{subject}/versions",
            get(subjects::versions).post(subjects::register),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::text))
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(subjects::referenced_by),
        )
        .route("/schemas/types", get(ids::types))
        .route("/schemas/ids/{id}", get(ids::schema))
        .route("/schemas/ids/{id}/schema", get(ids::text))
        .route("/schemas/ids/{id}/subjects", get(ids::subjects))
        .route("/schemas/ids/{id}/versions", get(ids::versions))
        .route("/compatibility/subjects/{subject}/versions", post(levels::check_all))
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(levels::check),
        )
        .route(
            "/config",
            get(levels::level).put(levels::set_level).delete(levels::reset_level),
        )
        .route(
            "/config/{subject}",
            get(levels::level_of)
                .put(levels::set_level_of)
                .delete(levels::reset_level_of),
        )
        .route("/mode", get(levels::mode).put(levels::set_mode))
        .route(
            "/mode/{subject}",
            get(levels::mode_of)
                .put(levels::set_mode_of)
                .delete(levels::reset_mode_of),
        )
}

/// A refusal, as the registry's clients read it.
pub(crate) struct Refusal {
    code: u32,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // A code has HTTP's status in front; 409 is its own.
        let status = if self.code >= 1000 { self.code / 100 } else { self.code };
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let body = json!({"error_code": self.code, "message": self.message});
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, answer(&body)).into_response()
    }
}

impl From<SchemaError> for Refusal {
    fn from(error: SchemaError) -> Refusal {
        Refusal {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal {
            code: u32::from(problem.status.as_u16()),
            message: problem.detail,
        }
    }
}

/// A document as the registry answers it.
fn answer(document: &impl Serialize) -> Response {
    let body = serde_json::to_vec(document).unwrap_or_default();
    ([(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], body).into_response()
}

fn flag(parameters: &Parameters, name: &str) -> bool {
    parameters
        .get(name)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn schemas(door: &Door) -> Schemas {
    door.state.engine.catalog().schemas().clone()
}

/// Runs what parses and compares schemas where it is in nobody's way.
async fn apart<T: Send + 'static>(
    door: &Door,
    ask: impl FnOnce() -> Result<T, SchemaError> + Send + 'static,
) -> Result<T, Refusal> {
    let asked = door.state.questions.spawn_blocking(ask).await;
    let broke_off = |error| Problem::internal(format!("the request broke off: {error}"));
    Ok(asked.map_err(broke_off)??)
}

/// A body's document.
async fn document<T: DeserializeOwned>(door: &Door, headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let body = request::body(headers, body, door.options.body_bytes_max).await?;
    serde_json::from_slice(&body).map_err(|error| Refusal {
        code: 422,
        message: format!("the body is not what is taken here: {error}"),
    })
}

/// A schema as a request writes it. What else a client may say of it (rules, metadata) is not kept, and refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    schema: String,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    rule_set: Option<Value>,
    #[serde(default)]
    metadata: Option<Value>,
}

impl Given {
    fn schema(self) -> Result<Schema, Refusal> {
        for (name, part) in [("ruleSet", &self.rule_set), ("metadata", &self.metadata)] {
            if part.is_some() {
                let why = format!("'{name}' is not kept by this registry: leave it out");
                return Err(SchemaError::InvalidSchema(why).into());
            }
        }
        let schema_type = match self.schema_type.as_deref().filter(|name| !name.is_empty()) {
            None => SchemaType::Avro,
            Some(name) => name.parse().map_err(|()| {
                let why = format!("there is no schema type '{name}': GET /schemas/types lists them");
                SchemaError::InvalidSchema(why)
            })?,
        };
        Ok(Schema {
            schema_type,
            text: self.schema,
            references: self.references.unwrap_or_default(),
        })
    }
}

/// A schema as an answer shows it. Avro goes without saying.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_type: Option<SchemaType>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference>,
    schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_id: Option<u32>,
}

impl Shown {
    fn of(registered: &Registered, parameters: &Parameters) -> Shown {
        let schema = &registered.schema;
        Shown {
            subject: None,
            version: None,
            id: None,
            schema_type: Some(schema.schema_type).filter(|kind| *kind != SchemaType::Avro),
            references: schema.references.clone(),
            schema: text(registered, parameters),
            max_id: None,
        }
    }

    fn version(found: &SubjectVersion, parameters: &Parameters) -> Shown {
        Shown {
            subject: Some(found.subject.clone()),
            version: Some(found.version),
            id: Some(found.registered.id),
            ..Shown::of(&found.registered, parameters)
        }
    }
}

/// The text of a schema; `format=serialized` asks for the descriptor of a Protobuf one.
fn text(registered: &Registered, parameters: &Parameters) -> String {
    let is_serialized = parameters.get("format").is_some_and(|format| format == "serialized");
    match registered.parsed() {
        Ok(Parsed::Protobuf(schema)) if is_serialized => schema.serialized(),
        _ => registered.schema.text.clone(),
    }
}

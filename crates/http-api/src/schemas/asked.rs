//! What is asked: parameters, and the documents of bodies.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Query;
use axum::http::HeaderMap;
use headwater_schemas::{Reference, Schema, SchemaError, SchemaType, Schemas};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refusal::Refusal;
use crate::body;
use crate::door::Door;
use crate::problem::Problem;

/// The query parameters of a request.
pub(super) type Parameters = Query<HashMap<String, String>>;

pub(super) fn flag(parameters: &Parameters, name: &str) -> bool {
    parameters
        .get(name)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

pub(super) fn schemas(door: &Door) -> Schemas {
    door.state.engine.catalog().schemas().clone()
}

/// Runs what parses and compares schemas where it is in nobody's way.
pub(super) async fn apart<T: Send + 'static>(
    door: &Door,
    ask: impl FnOnce() -> Result<T, SchemaError> + Send + 'static,
) -> Result<T, Refusal> {
    let asked = door.state.questions.spawn_blocking(ask).await;
    let broke_off = |error| Problem::internal(format!("the request broke off: {error}"));
    Ok(asked.map_err(broke_off)??)
}

/// A body's document.
pub(super) async fn document<T: DeserializeOwned>(door: &Door, headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let body = body::whole(headers, body, door.options.body_bytes_max).await?;
    serde_json::from_slice(&body).map_err(|error| Refusal {
        code: 422,
        message: format!("the body is not what is taken here: {error}"),
    })
}

/// A schema as a request writes it. What else a client may say of it (rules, metadata) is not kept, and refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
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
    pub(super) fn schema(self) -> Result<Schema, Refusal> {
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

//! `GET /openapi.json`: this door described for machines (OpenAPI 3.1), made from the catalog each time it is asked.
//!
//! Invariant: every operation has an `operationId` of its own and every row a named schema, so that a client can be generated.

mod commands;
mod events;
mod names;
mod parts;
mod registry;
mod streams;
mod views;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use headwater_catalog::Definition;
use serde_json::{Map, Value, json};

use names::operation_id;
use parts::{after_parameter, appended, json_response, problem, problem_response, query_parameter, wait_parameter};

use crate::door::Door;

/// Describes every address.
pub(crate) async fn describe(State(door): State<Arc<Door>>) -> Json<Value> {
    let engine = &door.state.engine;
    let mut paths = fixed_paths();
    events::put(&mut paths);
    registry::put(&mut paths);
    let mut schemas = Map::new();
    let mut plain_views: Vec<String> = Vec::new();
    schemas.insert("Problem".into(), problem());
    schemas.insert("Appended".into(), appended());
    schemas.insert("Envelope".into(), streams::envelope());
    schemas.insert("ConditionFailed".into(), events::condition_failed());
    schemas.insert("Condition".into(), events::condition());
    schemas.insert("QueryItem".into(), events::query_item());
    schemas.extend(commands::schemas());
    schemas.extend(registry::schemas());
    for definition in engine.catalog().all() {
        match definition.as_ref() {
            Definition::Stream(stream) => {
                schemas.extend(streams::schema(stream));
                streams::put(&mut paths, stream, engine.log());
            }
            Definition::Command(command) => {
                paths.insert(format!("/commands/{}", command.name), commands::path(engine, command));
            }
            Definition::Schedule(_) | Definition::Graph(_) => {}
            Definition::View(definition) => {
                if definition.shape.is_none() {
                    plain_views.push(definition.name.clone());
                }
                if let Some(view) = engine.views().get(&definition.name) {
                    schemas.insert(views::schema_name(&definition.name), views::schema(&view));
                    paths.extend(views::paths(&view));
                }
            }
        }
    }
    paths.insert("/sql".into(), sql(&plain_views));
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Headwater", "version": env!("CARGO_PKG_VERSION"),
            "description": "Events in, commands decided, views read. Problems are application/problem+json (RFC 9457).",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

fn fixed_paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for (path, summary) in [
        ("/streams", "Every stream"),
        ("/views", "Every view and how it stands"),
        ("/commands", "Every command"),
        ("/health", "Whether the program can do its work"),
    ] {
        let responses = json!({"200": json_response("As named", json!({}))});
        paths.insert(
            path.into(),
            json!({"get": {"operationId": operation_id("list", &path[1..]), "summary": summary, "responses": responses}}),
        );
    }
    let parameters = [
        query_parameter("limit", "integer", "How many at most"),
        query_parameter("after", "string", "The place of the last one seen, as `next` says it"),
    ];
    paths.insert(
        "/schedules".into(),
        json!({"get": {"operationId": operation_id("list", "schedules"),
            "summary": "What is to be appended later, a page in the order in which it is due", "parameters": parameters,
            "responses": {"200": json_response("A page; `next` is the address of the one behind it", json!({}))}}}),
    );
    let name = json!([{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let none = problem_response("No schedule of that name waits");
    paths.insert(
        "/schedules/{name}".into(),
        json!({
            "get": {"operationId": "get_schedule", "summary": "One that waits, with its events", "parameters": name.clone(),
                "responses": {"200": json_response("The schedule", json!({"type": "object"})), "404": none.clone()}},
            "delete": {"operationId": "cancel_schedule", "summary": "Cancel it", "parameters": name,
                "responses": {"200": json_response("Cancelled: its events are not appended", json!({"type": "object"})), "404": none}},
        }),
    );
    paths.insert(
        "/metrics".into(),
        json!({"get": {"operationId": "metrics", "summary": "What the program counts, for Prometheus", "responses": {
            "200": {"description": "Numbers", "content": {"text/plain": {}}}}}}),
    );
    paths
}

/// Any statement. Plain views have no address of their own: they are asked here.
fn sql(plain_views: &[String]) -> Value {
    let mut description = "A question says up to where it saw what it read, where that is known.".to_owned();
    if !plain_views.is_empty() {
        description.push_str(&format!(
            " Views that are worked out when they are asked have no address of their own and are asked here: {}.",
            plain_views.join(", ")
        ));
    }
    let question = json!({"type": "object", "required": ["sql"], "properties": {
        "sql": {"type": "string"}, "parameters": {"type": "array", "items": {}}}});
    let answer = json!({"type": "object", "properties": {
        "columns": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}}},
        "rows": {"type": "array", "items": {"type": "array", "items": {}}},
        "tag": {"type": "string"}, "position": {"type": ["string", "null"]}}});
    json!({"post": {
        "operationId": "sql",
        "summary": "One SQL statement",
        "description": description,
        "parameters": [after_parameter(), wait_parameter()],
        "requestBody": {"required": true, "content": {
            "text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": question}}},
        "responses": {
            "200": {"description": "Rows, or a tag", "headers": {
                "Headwater-Position": {"description": "Up to where everything was seen of what was read, or is to be seen of what was written",
                    "schema": {"type": "string"}}}, "content": {
                "application/json": {"schema": answer}, "application/x-ndjson": {}, "text/csv": {}}},
            "default": problem_response("The statement failed"),
        },
    }})
}

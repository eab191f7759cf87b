//! `GET /openapi.json`: this door described for machines (OpenAPI 3.1), made from the catalog each time it is asked.

mod events;
mod streams;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use headwater_catalog::{ColumnType, CommandDefinition, Definition};
use headwater_sql::parse::parse;
use headwater_sql::statement::{Command, Statement};
use headwater_views::View;
use serde_json::{Map, Value, json};

use crate::router::Door;
use crate::rows::json_schema;
use crate::views::key_names;

/// Describes every address.
pub(crate) async fn describe(State(door): State<Arc<Door>>) -> Json<Value> {
    let engine = &door.state.engine;
    let mut paths = fixed_paths();
    events::put(&mut paths);
    for definition in engine.catalog().all() {
        match definition.as_ref() {
            Definition::Stream(stream) => {
                streams::put(&mut paths, stream, engine.log());
            }
            Definition::Command(command) => {
                paths.insert(format!("/commands/{}", command.name), command_path(command));
            }
            Definition::View(definition) => {
                if let Some(view) = engine.views().get(&definition.name) {
                    let (page, row) = view_paths(&view);
                    paths.insert(format!("/views/{}", definition.name), page);
                    if let Some((address, row)) = row {
                        paths.insert(format!("/views/{}/{address}", definition.name), row);
                    }
                }
            }
        }
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Headwater", "version": env!("CARGO_PKG_VERSION"),
            "description": "Events in, commands decided, views read. Problems are application/problem+json (RFC 9457).",
        },
        "paths": paths,
        "components": {"schemas": {
            "Problem": problem(), "Appended": appended(), "ConditionFailed": events::condition_failed(),
            "Condition": events::condition(), "QueryItem": events::query_item(),
        }},
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
            json!({"get": {"summary": summary, "responses": responses}}),
        );
    }
    paths.insert(
        "/metrics".into(),
        json!({"get": {"summary": "What the program counts, for Prometheus", "responses": {
            "200": {"description": "Numbers", "content": {"text/plain": {}}}}}}),
    );
    let question = json!({"type": "object", "required": ["sql"], "properties": {
        "sql": {"type": "string"}, "parameters": {"type": "array", "items": {}}}});
    let answer = json!({"type": "object", "properties": {
        "columns": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}}},
        "rows": {"type": "array", "items": {"type": "array", "items": {}}},
        "tag": {"type": "string"}, "position": {"type": ["string", "null"]}}});
    paths.insert(
        "/sql".into(),
        json!({"post": {
            "summary": "One SQL statement",
            "parameters": [after_parameter()],
            "requestBody": {"required": true, "content": {
                "text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": question}}},
            "responses": {
                "200": {"description": "Rows, or a tag", "content": {
                    "application/json": {"schema": answer}, "application/x-ndjson": {}, "text/csv": {}}},
                "default": problem_response("The statement failed"),
            },
        }}),
    );
    paths
}

fn command_path(command: &CommandDefinition) -> Value {
    let arguments = match parsed(command) {
        None => json!({"type": "object"}),
        Some(parsed) => {
            let names: Vec<&str> = parsed
                .parameters
                .iter()
                .filter(|parameter| parameter.default.is_none())
                .map(|parameter| parameter.name.value.as_str())
                .collect();
            let properties: Map<String, Value> = parsed
                .parameters
                .iter()
                .map(|parameter| (parameter.name.value.clone(), parameter_schema(parameter.column_type)))
                .collect();
            json!({"type": "object", "properties": properties, "required": names})
        }
    };
    json!({"post": {
        "summary": format!("Decide {}", command.name),
        "description": command.statement,
        "parameters": [{
            "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
            "description": "The same key with the same arguments gives the first answer again"}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": arguments}}},
        "responses": {
            "200": {"description": "Decided and durable", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Appended"}}}},
            "409": problem_response("The idempotency key was used with other arguments"),
            "422": problem_response("Refused: `detail` says why"),
            "default": problem_response("Nothing was appended"),
        },
    }})
}

fn parsed(command: &CommandDefinition) -> Option<Command> {
    let statement = parse(&command.statement, "").ok()?.pop()?.statement;
    match statement {
        Statement::CreateCommand { command, .. } => Some(command),
        _ => None,
    }
}

fn view_paths(view: &View) -> (Value, Option<(String, Value)>) {
    let schema = view.schema();
    let properties: Map<String, Value> = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), json_schema(field.data_type())))
        .collect();
    let row = json!({"type": "object", "properties": properties});
    let name = &view.definition().name;
    let page = json!({"get": {
        "summary": format!("Rows of {name}, by key"),
        "parameters": [query_parameter("limit", "integer", "How many rows at most"),
            query_parameter("after", "string", "The key of the last row seen"), after_parameter()],
        "responses": {
            "200": json_response("A page of rows", json!({"type": "object", "properties": {
                "rows": {"type": "array", "items": row.clone()}, "next": {"type": ["string", "null"]}, "position": {"type": "string"}}})),
            "default": problem_response("Not read"),
        },
    }});
    let keys = key_names(view);
    if keys.is_empty() {
        return (page, None);
    }
    let address = format!("{{{}}}", keys.join("}/{"));
    let mut parameters: Vec<Value> = keys
        .iter()
        .map(|key| json!({"name": key, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.push(after_parameter());
    let one = json!({"get": {
        "summary": format!("One row of {name}"),
        "parameters": parameters,
        "responses": {
            "200": json_response("The row", row),
            "404": problem_response("There is no such row"),
            "504": problem_response("The view did not get there in time"),
            "default": problem_response("Not read"),
        },
    }});
    (page, Some((address, one)))
}

fn parameter_schema(column_type: ColumnType) -> Value {
    match column_type {
        ColumnType::Decimal(..) | ColumnType::BigInt => {
            json!({"type": ["number", "string"], "description": column_type.to_string()})
        }
        ColumnType::Json => json!({}),
        other => json_schema(&other.data_type()),
    }
}

fn after_parameter() -> Value {
    json!({"name": "Headwater-After", "in": "header", "schema": {"type": "string"},
        "description": "A position: views answer once they have got there"})
}

fn query_parameter(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind}, "description": description})
}

fn json_response(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn problem_response(description: &str) -> Value {
    json!({"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}})
}

fn problem() -> Value {
    json!({"type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "code": {"type": "string", "description": "Which problem it is, for programs: it never changes"}, "detail": {"type": "string"}}})
}

/// An answer to an append whose condition does not hold.
fn condition_failed_response() -> Value {
    json!({"description": "The condition does not hold: `came` is what is in the way; nothing was appended",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The entity's version, where it is one's"}},
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ConditionFailed"}}}})
}

/// The answer to an append.
fn appended_response() -> Value {
    json!({"description": "Durable",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The entity's version now, where all events are of one"}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Appended"}}}})
}

fn header_parameter(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "schema": {"type": "string"}, "description": description})
}

fn appended() -> Value {
    json!({"type": "object", "properties": {
        "events": {"type": "array", "items": {"type": "object", "properties": {
            "stream": {"type": "string"}, "partition": {"type": "integer"}, "offset": {"type": "integer"}, "value": {}}}},
        "position": {"type": "string"}, "appended_at": {"type": "string", "format": "date-time"}, "repeated": {"type": "boolean"},
        "version": {"type": "string", "description": "Of the entity, where all events are of one"}}})
}

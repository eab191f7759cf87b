//! What operations are put together of: parameters, answers, and the schemas that they share.

use headwater_catalog::ColumnType;
use serde_json::{Value, json};

use crate::json::rows::json_schema;

pub(super) fn parameter_schema(column_type: ColumnType) -> Value {
    match column_type {
        ColumnType::Decimal(..) | ColumnType::BigInt => {
            json!({"type": ["number", "string"], "description": column_type.to_string()})
        }
        ColumnType::Json => json!({}),
        other => json_schema(&other.data_type()),
    }
}

/// The same, or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    let kinds = match schema.get("type") {
        // It takes anything.
        None => return schema,
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
    };
    schema["type"] = kinds.into_iter().chain(["null".into()]).collect();
    schema
}

pub(super) fn after_parameter() -> Value {
    json!({"name": "Headwater-After", "in": "header", "schema": {"type": "string"},
        "description": "A position: views answer once they have got there"})
}

pub(super) fn wait_parameter() -> Value {
    json!({"name": "Headwater-Wait-Ms", "in": "header", "schema": {"type": "integer", "minimum": 0},
        "description": "How long to wait for the position at most"})
}

pub(super) fn query_parameter(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind}, "description": description})
}

pub(super) fn header_parameter(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "schema": {"type": "string"}, "description": description})
}

pub(super) fn idempotency_key() -> Value {
    json!({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key with the same request gives the first answer again"})
}

pub(super) fn json_response(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

pub(super) fn problem_response(description: &str) -> Value {
    json!({"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}})
}

/// An answer to an append whose condition does not hold.
pub(super) fn condition_failed_response() -> Value {
    json!({"description": "The condition does not hold: `came` is what is in the way; nothing was appended",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The entity's version, where it is one's"}},
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ConditionFailed"}}}})
}

/// The answer to an append.
pub(super) fn appended_response() -> Value {
    json!({"description": "Durable",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The entity's version now, where all events are of one"}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Appended"}}}})
}

pub(super) fn problem() -> Value {
    json!({"type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "code": {"type": "string", "description": "Which problem it is, for programs: it never changes"}, "detail": {"type": "string"}}})
}

pub(super) fn appended() -> Value {
    json!({"type": "object", "properties": {
        "events": {"type": "array", "items": {"type": "object", "properties": {
            "stream": {"type": "string"}, "partition": {"type": "integer"}, "offset": {"type": "integer"}, "value": {}}}},
        "position": {"type": "string"}, "appended_at": {"type": "string", "format": "date-time"}, "repeated": {"type": "boolean"},
        "version": {"type": "string", "description": "Of the entity, where all events are of one"}}})
}

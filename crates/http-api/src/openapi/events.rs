//! What OpenAPI says of events of several streams: appended together under a condition, and found by a query.

use serde_json::{Map, Value, json};

use super::parts::{
    appended_response, condition_failed_response, idempotency_key, json_response, problem_response, query_parameter,
};

/// `/events` and `/events/query`.
pub(super) fn put(paths: &mut Map<String, Value>) {
    let append = json!({"type": "object", "required": ["events"], "properties": {
        "events": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["stream"], "properties": {
            "stream": {"type": "string"}, "key": {"type": "string"}, "value": {},
            "tombstone": {"type": "boolean", "description": "The event has no value, and deletes the row of its key"},
            "headers": {"type": "array", "items": {"type": "object"}}, "timestamp": {"type": ["string", "null"], "format": "date-time"}}}},
        "condition": {"oneOf": [
            {"$ref": "#/components/schemas/Condition"},
            {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Condition"}}]}}});
    let found = json!({"type": "object", "required": ["events", "position", "more", "gone_before"], "properties": {
        "events": {"type": "array", "items": shown()},
        "position": {"type": "string", "description": "Where the next page begins; what a condition says `after`"},
        "more": {"type": "boolean"},
        "gone_before": {"type": ["string", "null"], "description": "Where the streams begin whose first events are not kept any more"}}});
    paths.insert(
        "/events".into(),
        json!({
            "post": {
                "operationId": "append_events",
                "summary": "Append events of one or several streams, all or none, under a condition",
                "parameters": [idempotency_key()],
                "requestBody": {"required": true, "content": {"application/json": {"schema": append}}},
                "responses": {
                    "200": appended_response(),
                    "412": condition_failed_response(),
                    "422": problem_response("A value does not fit its stream; nothing was appended"),
                    "default": problem_response("Nothing was appended"),
                },
            },
            "get": {
                "operationId": "find_events",
                "summary": "The events that have all of this in common, over streams and partitions",
                "parameters": [
                    query_parameter("stream", "string", "Of this stream; without it of every stream with an entity index"),
                    list_parameter("kind", "Of one of these kinds"),
                    query_parameter("key", "string", "With this key"),
                    list_parameter("tag", "With all of these tags, each column:value"),
                    query_parameter("after", "string", "From this position on"),
                    query_parameter("limit", "integer", "How many events at most"),
                ],
                "responses": {"200": json_response("A page of events", found.clone()), "default": problem_response("Not read")},
            },
        }),
    );
    let query = json!({"type": "object", "required": ["query"], "properties": {
        "query": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/QueryItem"}},
        "after": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 10_000}}});
    paths.insert(
        "/events/query".into(),
        json!({"post": {
            "operationId": "query_events",
            "summary": "The events that match one of several items",
            "requestBody": {"required": true, "content": {"application/json": {"schema": query}}},
            "responses": {"200": json_response("A page of events", found), "default": problem_response("Not read")},
        }}),
    );
}

/// A parameter that may repeat.
fn list_parameter(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "explode": true, "description": description,
        "schema": {"type": "array", "items": {"type": "string"}}})
}

fn shown() -> Value {
    json!({"type": "object", "properties": {
        "stream": {"type": "string"}, "partition": {"type": "integer"}, "offset": {"type": "integer"},
        "key": {"type": ["string", "null"]}, "value": {}, "tombstone": {"type": "boolean"}, "headers": {"type": "array", "items": {"type": "object"}},
        "timestamp": {"type": ["string", "null"], "format": "date-time"}, "appended_at": {"type": "string", "format": "date-time"},
        "principal": {"type": "string"}, "schema_version": {"type": "integer"}}})
}

/// One item of a query.
pub(super) fn query_item() -> Value {
    json!({"type": "object", "additionalProperties": false,
        "description": "Events that have all of this in common; an absent part means any",
        "properties": {
            "stream": {"type": "string"}, "kinds": {"type": "array", "items": {"type": "string"}},
            "key": {"type": "string"}, "key_base64": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "column:value"}}})
}

/// One condition of an append.
pub(super) fn condition() -> Value {
    json!({"oneOf": [
        {"type": "object", "additionalProperties": false, "required": ["stream", "version"],
            "description": "The entity's last event stands there still",
            "properties": {
                "stream": {"type": "string"}, "key": {"type": "string"}, "key_base64": {"type": "string"},
                "version": {"type": "string", "examples": ["2@17", "none"]}}},
        {"type": "object", "additionalProperties": false, "required": ["none_of"],
            "description": "No event from the position on matches an item; without a position none at all",
            "properties": {
                "after": {"type": "string", "examples": ["transactions/0@42,1@17"]},
                "none_of": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/QueryItem"}}}},
    ]})
}

/// The problem that says what came in between.
pub(super) fn condition_failed() -> Value {
    json!({"allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": {
        "came": {"type": "array", "maxItems": 100, "items": shown(),
            "description": "The events that are in the way; one that readers may not see yet has its address alone"},
        "more": {"type": "boolean", "description": "Whether there are others; position and version are those behind the last one that is shown"},
        "position": {"type": "string", "description": "Up to where to read before deciding again"},
        "stream": {"type": "string"}, "key": {"type": "string"},
        "version": {"type": "string", "description": "Of the entity, where it is one's that was expected to be another"}}}]})
}

//! What OpenAPI says of a stream: its events, and its entities where it has an index of them.

use headwater_catalog::{Format, StreamDefinition};
use headwater_eventlog::EventLog;
use serde_json::{Map, Value, json};

use super::names::{identifier, operation_id};
use super::parts::{
    appended_response, condition_failed_response, header_parameter, idempotency_key, json_response, or_null,
    parameter_schema, problem_response, query_parameter,
};

/// Its addresses.
pub(super) fn put(paths: &mut Map<String, Value>, stream: &StreamDefinition, log: &EventLog) {
    let name = &stream.name;
    paths.insert(format!("/streams/{name}/events"), events(stream));
    if log.stream(name).is_some_and(|info| info.settings.is_indexed()) {
        paths.insert(format!("/streams/{name}/entities/{{key}}"), entity(stream));
    }
}

/// The schema of a value: anything where the stream has no columns, and of several columns one of its own.
fn value(stream: &StreamDefinition) -> Value {
    match (&stream.columns, has_fields(stream)) {
        (_, true) => json!({"$ref": format!("#/components/schemas/{}", schema_name(&stream.name))}),
        // The value is its one column.
        (Some(columns), false) => columns
            .first()
            .map_or(json!({}), |column| parameter_schema(column.column_type)),
        (None, false) => json!({}),
    }
}

fn has_fields(stream: &StreamDefinition) -> bool {
    stream.columns.is_some() && !matches!(stream.format, Format::Text | Format::Bytes)
}

/// The name of the schema of a stream's values.
fn schema_name(stream: &str) -> String {
    format!("value.{}", identifier(stream))
}

/// That schema with its name; `None` where values have no fields.
pub(super) fn schema(stream: &StreamDefinition) -> Option<(String, Value)> {
    let columns = stream.columns.as_ref().filter(|_| has_fields(stream))?;
    let needed = columns
        .iter()
        .filter(|column| !column.nullable && column.default.is_none());
    let required: Vec<&str> = needed.map(|column| column.name.as_str()).collect();
    let property = |column: &headwater_catalog::Column| {
        let schema = parameter_schema(column.column_type);
        let schema = if column.nullable { or_null(schema) } else { schema };
        (column.name.clone(), schema)
    };
    let properties: Map<String, Value> = columns.iter().map(property).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Some((schema_name(&stream.name), schema))
}

/// An event with what is beside its value.
pub(super) fn envelope() -> Value {
    json!({"type": "object", "properties": {
        "key": {"type": "string"}, "value": {}, "tombstone": {"type": "boolean", "description": "It has no value, and deletes the row of its key"},
        "headers": {"type": "array", "items": {"type": "object"}}, "timestamp": {"type": "string", "format": "date-time"}}})
}

/// The schema of an event as it is read.
fn event(stream: &StreamDefinition) -> Value {
    json!({"type": "object", "properties": {
        "partition": {"type": "integer"}, "offset": {"type": "integer"}, "key": {"type": ["string", "null"]}, "value": value(stream), "tombstone": {"type": "boolean"},
        "headers": {"type": "array", "items": {"type": "object"}}, "timestamp": {"type": ["string", "null"], "format": "date-time"},
        "appended_at": {"type": "string", "format": "date-time"}, "principal": {"type": "string"}, "schema_version": {"type": "integer"}}})
}

/// Appending values to the stream.
fn append(stream: &StreamDefinition, operation_id: &str, summary: &str) -> Value {
    let value = value(stream);
    let body = match stream.columns {
        // Anything may be a value, and an envelope is.
        None => value,
        Some(_) => json!({"anyOf": [value, {"$ref": "#/components/schemas/Envelope"}]}),
    };
    json!({
        "operationId": operation_id,
        "summary": summary,
        "parameters": [
            header_parameter("If-Match", "The version that the events' entity must have, in quotes: \"2@17\", or \"none\""),
            header_parameter("If-None-Match", "*: the events' entity must have no events yet"),
            header_parameter("Headwater-Append-At", "When, where it is not at once: a moment as RFC 3339 writes it"),
            header_parameter("Headwater-Append-After", "The same as a span from now: `3 days`, `PT72H`"),
            header_parameter("Headwater-Schedule", "What an append that is not at once is cancelled by"),
            idempotency_key(),
            query_parameter("partition", "integer", "Where all of the events go; without it where their keys say"),
            query_parameter("envelope", "boolean", "Each event comes in an envelope, with its key, headers and time"),
        ],
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": body}, "application/x-ndjson": {"schema": {"type": "string"}}}},
        "responses": {
            "200": appended_response(),
            "202": json_response("To be appended later", json!({"type": "object", "properties": {
                "schedule": {"type": "string"}, "due": {"type": "string", "format": "date-time"},
                "stream": {"type": "string"}, "events": {"type": "integer"}, "position": {"type": "string"}, "repeated": {"type": "boolean"}}})),
            "409": problem_response("A schedule of that name waits already"),
            "412": condition_failed_response(),
            "422": problem_response("A value does not fit the stream; nothing was appended"),
            "default": problem_response("Nothing was appended"),
        },
    })
}

fn entity(stream: &StreamDefinition) -> Value {
    let name = &stream.name;
    let key = json!({"name": "key", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "The key; of several KEY columns the JSON array of their values, of an empty text `;empty`"});
    let page = json!({"type": "object", "required": ["stream", "key", "version", "events", "next", "gone_before"], "properties": {
        "stream": {"type": "string"}, "key": {"type": "string"},
        "version": {"type": "string", "examples": ["2@17", "none"], "description": "Of the whole entity, whatever the page has of it"},
        "events": {"type": "array", "items": event(stream)},
        "next": {"type": ["string", "null"], "description": "The address of the next page"},
        "gone_before": {"type": ["string", "null"], "description": "Where the stream begins, where its first events are not kept any more"}}});
    json!({
        "parameters": [key],
        "get": {
            "operationId": operation_id("entity_of", name),
            "summary": format!("The events of one entity of {name}, and its version"),
            "parameters": [
                query_parameter("from", "string", "Behind this version"),
                query_parameter("order", "string", "asc, or desc: the newest first"),
                query_parameter("limit", "integer", "How many events at most"),
                header_parameter("If-None-Match", "A version that is known: answered with 304 where it is still the same"),
            ],
            "responses": {
                "200": {"description": "A page of events; without events its version is none",
                    "headers": {"ETag": {"schema": {"type": "string"}, "description": "The version up to which the page goes, in quotes"}},
                    "content": {"application/json": {"schema": page}}},
                "304": {"description": "It has the version that is known"},
                "default": problem_response("Not read"),
            },
        },
        "post": append(stream, &operation_id("append_entity_of", name), &format!("Append to one entity of {name}")),
    })
}

fn events(stream: &StreamDefinition) -> Value {
    let page = json!({"type": "object", "properties": {
        "events": {"type": "array", "items": event(stream)}, "next": {"type": "string"}}});
    json!({
        "post": append(stream, &operation_id("append_to", &stream.name), &format!("Append to {}", stream.name)),
        "get": {
            "operationId": operation_id("read", &stream.name),
            "summary": format!("Read {} from a position, or tail it", stream.name),
            "parameters": [
                query_parameter("from", "string", "A position, `beginning` or `end`"),
                query_parameter("partition", "integer", "Only this partition"),
                query_parameter("limit", "integer", "How many events at most"),
            ],
            "responses": {
                "200": {"description": "A page of events, or server-sent events", "content": {
                    "application/json": {"schema": page}, "text/event-stream": {}}},
                "default": problem_response("Not read"),
            },
        },
    })
}

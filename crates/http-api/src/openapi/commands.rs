//! Commands: their parameters with types, defaults and checks, and what each may be refused with.

use headwater_catalog::CommandDefinition;
use headwater_commands::{KEY_REUSED_CODE, SCHEDULE_EXISTS_CODE, UNFIT_CODES};
use headwater_sql::encode::json_of;
use headwater_sql::syntax::{Command, Parameter, RefusalPart};
use headwater_sql::{Engine, SqlError};
use serde_json::{Map, Value, json};

use super::names::operation_id;
use super::parts::{idempotency_key, json_response, or_null, parameter_schema, problem_response, query_parameter};
use crate::commands::parsed;

/// The schemas that all commands share.
pub(super) fn schemas() -> Map<String, Value> {
    let event = json!({"type": "object", "required": ["stream", "partition", "offset"], "properties": {
        "stream": {"type": "string"}, "partition": {"type": "integer"}, "offset": {"type": "integer", "format": "int64"}, "value": {}}});
    let decided = json!({"type": "object", "required": ["events", "position", "appended_at", "repeated"], "properties": {
        "events": {"type": "array", "items": event},
        "position": {"type": ["string", "null"], "description": "Give it to a read as Headwater-After to see what was done; null where nothing was"},
        "appended_at": {"type": ["string", "null"], "format": "date-time"},
        "repeated": {"type": "boolean", "description": "Whether the Idempotency-Key was answered before"}}});
    let proposed = json!({"type": "object", "required": ["stream", "value"], "properties": {
        "stream": {"type": "string"}, "partition": {"type": "integer"}, "key": {"type": "string"}, "value": {},
        "due": {"type": "string", "format": "date-time", "description": "When, where it is not at once"},
        "schedule": {"type": "string", "description": "What it is cancelled by until then"}}});
    let tried = json!({"type": "object", "required": ["dry_run", "events", "position"], "properties": {
        "dry_run": {"type": "boolean", "const": true},
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/Proposed"}},
        "position": {"type": ["string", "null"], "description": "What was decided on; null where nothing is read"}}});
    let explained = json!({"type": "object", "required": ["command", "arguments", "position", "steps", "outcome"], "properties": {
        "command": {"type": "string"},
        "arguments": {"type": "array", "items": {"type": "object", "required": ["name", "value"], "properties": {"name": {"type": "string"}, "value": {}}}},
        "position": {"type": "string"},
        "steps": {"type": "array", "items": {"type": "object", "required": ["step"], "properties": {
            "step": {"type": "string", "enum": ["read", "stream", "let", "require"]}}}},
        "outcome": {"type": "object", "required": ["outcome"], "properties": {
            "outcome": {"type": "string", "enum": ["append", "refused", "failed"]},
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Proposed"}},
            "code": {"type": "string"}, "detail": {"type": "string"}}}}});
    let named = [
        ("Decided", decided),
        ("Proposed", proposed),
        ("Tried", tried),
        ("Explained", explained),
    ];
    named
        .map(|(name, schema)| (name.to_owned(), schema))
        .into_iter()
        .collect()
}

/// `POST /commands/{command}`
pub(super) fn path(engine: &Engine, definition: &CommandDefinition) -> Value {
    let parsed = parsed(definition);
    let parameters = [
        idempotency_key(),
        query_parameter("dry_run", "boolean", "Only say what would be appended"),
        query_parameter("explain", "boolean", "Only say what would be decided, and why"),
    ];
    let retry = json!({"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}});
    let mut unavailable = problem_response("Not decided: view_building, not_decided_in_time, log_unavailable");
    unavailable["headers"] = retry;
    json!({"post": {
        "operationId": operation_id("command", &definition.name),
        "summary": format!("Decide {}", definition.name),
        "description": definition.statement,
        "tags": ["commands"],
        "parameters": parameters,
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": parsed.as_ref().map_or(json!({"type": "object"}), |command| arguments(engine, command))}}},
        "responses": {
            "200": json_response("Decided and durable; with dry_run or explain what it would come to", json!({"oneOf": [
                {"$ref": "#/components/schemas/Decided"}, {"$ref": "#/components/schemas/Tried"}, {"$ref": "#/components/schemas/Explained"}]})),
            "400": problem_response("The arguments are not the command's: missing_argument, null_argument, unknown_argument, invalid_argument, invalid_arguments; \
                or too_large: its events are; definition_failed: a question of its definition cannot be asked"),
            "404": problem_response("There is no such command any more: unknown_command"),
            "422": refusals(parsed.as_ref()),
            "503": unavailable,
            "507": problem_response("No room on the disk: disk_full"),
            "default": problem_response("Nothing was appended"),
        },
    }})
}

fn arguments(engine: &Engine, command: &Command) -> Value {
    let required = command
        .parameters
        .iter()
        .filter(|parameter| parameter.default.is_none());
    let required: Vec<&str> = required.map(|parameter| parameter.name.value.as_str()).collect();
    let mut properties = Map::new();
    for parameter in &command.parameters {
        properties.insert(parameter.name.value.clone(), argument(engine, parameter));
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// One argument. A default that every call works out anew (`current_date`) is said in words.
fn argument(engine: &Engine, parameter: &Parameter) -> Value {
    let mut schema = parameter_schema(parameter.column_type);
    let mut words: Vec<String> = vec![parameter.column_type.to_string()];
    if !parameter.nullable {
        words.push("NOT NULL".to_owned());
    } else {
        schema = or_null(schema);
    }
    if let Some(default) = &parameter.default {
        words.push(format!("DEFAULT {default}"));
        let is_literal = matches!(default.to_string().as_bytes(), [b'0'..=b'9' | b'\'' | b'-', ..]);
        let value: Result<Option<Value>, SqlError> =
            engine.constants(std::slice::from_ref(default)).and_then(|values| {
                let text = values.first().map(json_of).transpose()?;
                Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
            });
        if let (true, Ok(Some(value))) = (is_literal, value) {
            schema["default"] = value;
        }
    }
    words.extend(
        parameter
            .checks
            .iter()
            .map(|check| format!("CHECK ({})", check.condition)),
    );
    schema["description"] = words.join(" ").into();
    schema
}

/// The refusals, by their codes: those of the REQUIREs, and those that any command may come to.
fn refusals(command: Option<&Command>) -> Value {
    let mut codes: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for require in command.iter().flat_map(|command| command.requires()) {
        let code = require
            .code
            .clone()
            .unwrap_or_else(|| headwater_commands::REFUSED_CODE.to_owned());
        let text = require.refusal.parts.iter().map(|part| match part {
            RefusalPart::Plain(text) => text.clone(),
            RefusalPart::Value(name) => format!("{{{name}}}"),
        });
        words.push(format!("- `{code}`: {}", text.collect::<String>()));
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes.extend(UNFIT_CODES.map(str::to_owned));
    codes.push(KEY_REUSED_CODE.to_owned());
    if command.is_some_and(|command| command.outputs.iter().any(|output| output.later.is_some())) {
        words.push(format!(
            "- `{SCHEDULE_EXISTS_CODE}`: a schedule of that name waits already"
        ));
        codes.push(SCHEDULE_EXISTS_CODE.to_owned());
    }
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"type": "object", "properties": {"code": {"type": "string", "enum": codes}}}]});
    let description = match words.is_empty() {
        true => "The values do not go through; nothing was appended".to_owned(),
        false => format!("Refused; nothing was appended\n\n{}", words.join("\n")),
    };
    json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
}

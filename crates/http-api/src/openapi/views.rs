//! Materialized views: the schema of a row, one row by its key, pages, changes and searches.

use headwater_views::View;
use headwater_views::search::SearchImage;
use serde_json::{Map, Value, json};

use super::names::{identifier, operation_id};
use super::parts::{
    after_parameter, header_parameter, json_response, problem_response, query_parameter, wait_parameter,
};
use crate::json::rows::json_schema;
use crate::views::keys;
use crate::views::lists;

/// The name of the schema of a view's row.
pub(super) fn schema_name(view: &str) -> String {
    format!("row.{}", identifier(view))
}

/// A view's row: every column is there, NULL where it has no value.
pub(super) fn schema(view: &View) -> Value {
    let schema = view.schema();
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for field in schema.fields() {
        let mut column = json_schema(field.data_type());
        if let (true, Some(kind)) = (field.is_nullable(), column.get("type").cloned()) {
            column["type"] = json!([kind, "null"]);
        }
        properties.insert(field.name().clone(), column);
        required.push(field.name());
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// Its addresses.
pub(super) fn paths(view: &View) -> Map<String, Value> {
    let name = &view.definition().name;
    let row = json!({"$ref": format!("#/components/schemas/{}", schema_name(name))});
    let page = json!({"get": {
        "operationId": operation_id("rows_of", name),
        "summary": format!("Rows of {name}, by key"),
        "tags": ["views"],
        "parameters": [query_parameter("limit", "integer", "How many rows at most"),
            query_parameter("after", "string", "The key of the last row seen"), after_parameter(), wait_parameter()],
        "responses": {
            "200": json_response("A page of rows", json!({"type": "object", "properties": {
                "columns": {"type": "array", "items": {}}, "rows": {"type": "array", "items": row.clone()},
                "next": {"type": ["string", "null"]}, "position": {"type": "string"}}})),
            "default": problem_response("Not read"),
        },
    }});
    let mut page = page;
    if let Some(parameters) = page["get"]["parameters"].as_array_mut() {
        parameters.extend(lists::openapi(view));
    }
    let mut paths = Map::new();
    paths.insert(format!("/views/{name}"), page);
    paths.insert(format!("/views/{name}/changes"), changes(name));
    if view.image::<SearchImage>().is_some() {
        paths.insert(format!("/views/{name}/search"), search(name));
    }
    let keys = keys::names(view);
    let in_path = |key: &String| {
        json!({"name": key, "in": "path", "required": true, "schema": {"type": "string"},
            "description": "NULL is `;null`, the empty text `;empty`"})
    };
    let mut parameters: Vec<Value> = keys.iter().map(in_path).collect();
    let key: String = keys.iter().map(|key| format!("/{{{key}}}")).collect();
    if !keys.is_empty() || view.only_key().is_some() {
        for (function, shows) in [
            ("lineage", "the row after it"),
            ("origins", "what it was made of, back to the first streams"),
        ] {
            let path = format!("/views/{name}/{function}{key}");
            paths.insert(path, history(function, name, shows, &parameters));
        }
    }
    if keys.is_empty() {
        return paths;
    }
    parameters.extend(lists::openapi(view));
    parameters.extend([after_parameter(), wait_parameter()]);
    let one = json!({"get": {
        "operationId": operation_id("get", name),
        "summary": format!("One row of {name}"),
        "tags": ["views"],
        "parameters": parameters,
        "responses": {
            "200": json_response("The row", row),
            "404": problem_response("There is no such row: no_such_row"),
            "504": problem_response("The view did not get there in time: late"),
            "default": problem_response("Not read"),
        },
    }});
    paths.insert(format!("/views/{name}{key}"), one);
    paths
}

/// The address of its changes.
fn changes(name: &str) -> Value {
    let resumed = "Where it goes on: the id of the last `position` that was told";
    json!({"get": {
        "operationId": operation_id("changes_of", name),
        "summary": format!("Rows of {name}, and then every change, as server-sent events: upsert, delete, position, reset, problem"),
        "tags": ["views"],
        "parameters": [query_parameter("where", "string", "Only rows for which this condition holds"), query_parameter("from", "string", resumed),
            header_parameter("Last-Event-ID", resumed), after_parameter(), wait_parameter()],
        "responses": {
            "200": {"description": "Changes, until either side hangs up", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "default": problem_response("Not followed"),
        },
    }})
}

/// The address of the history of a row.
fn history(function: &str, name: &str, shows: &str, key: &[Value]) -> Value {
    let mut parameters = key.to_vec();
    parameters.push(query_parameter("limit", "integer", "How many events at most"));
    parameters.push(query_parameter(
        "after",
        "string",
        "The address of the last event seen, or a time",
    ));
    parameters.extend([after_parameter(), wait_parameter()]);
    json!({"get": {
        "operationId": operation_id(&format!("{function}_of"), name),
        "summary": format!("The events that went into a row of {name}, each with {shows}"),
        "tags": ["views"],
        "parameters": parameters,
        "responses": {
            "200": json_response("A page of events", json!({"type": "object", "properties": {
                "columns": {"type": "array", "items": {}}, "rows": {"type": "array", "items": {"type": "object"}},
                "next": {"type": ["string", "null"]}}})),
            "default": problem_response("Not read"),
        },
    }})
}

/// The address of its search.
fn search(name: &str) -> Value {
    let found = json!({"allOf": [{"$ref": format!("#/components/schemas/{}", schema_name(name))},
        {"type": "object", "properties": {"score": {"type": "number"}, "snippet": {"type": ["string", "null"]}}}]});
    let counted = json!({"type": "object", "properties": {"value": {"type": "string"}, "count": {"type": "integer"}}});
    json!({"get": {
        "operationId": operation_id("search", name),
        "summary": format!("Rows of {name} that a query finds, the best first"),
        "tags": ["views"],
        "parameters": [query_parameter("q", "string", "The query: words, \"phrases\", field:value, ranges, AND OR NOT"),
            query_parameter("limit", "integer", "How many rows at most"), query_parameter("offset", "integer", "How many of the best are passed over"),
            query_parameter("facet", "string", "KEYWORD fields whose values are counted, with commas between"),
            query_parameter("operator", "string", "What stands between two words: and, or"),
            query_parameter("snippet", "string", "The TEXT field that snippets are made of"), after_parameter(), wait_parameter()],
        "responses": {
            "200": json_response("What was found", json!({"type": "object", "properties": {
                "columns": {"type": "array", "items": {}}, "rows": {"type": "array", "items": found}, "found": {"type": "integer"},
                "facets": {"type": "object", "additionalProperties": {"type": "array", "items": counted}}, "position": {"type": "string"}}})),
            "400": problem_response("The query is wrong: malformed_query"),
            "504": problem_response("The view did not get there in time: late"),
            "default": problem_response("Not searched"),
        },
    }})
}

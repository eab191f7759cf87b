//! What OpenAPI says of the schema registry.
//!
//! Invariant: every address that `crate::schemas::routes` takes stands here, and its operations begin with `registry_`: no view's and no stream's do.

use serde_json::{Map, Value, json};

use super::parts::query_parameter;

/// Every address of the registry.
pub(super) fn put(paths: &mut Map<String, Value>) {
    let names = || json!({"type": "array", "items": {"type": "string"}});
    let numbers = || json!({"type": "array", "items": {"type": "integer"}});
    let found = || reference("RegisteredSchema");
    let deleted = || query_parameter("deleted", "boolean", "Those that are deleted too");
    let permanent = || query_parameter("permanent", "boolean", "For good, what is deleted already");
    let or_global = || {
        query_parameter(
            "defaultToGlobal",
            "boolean",
            "What all subjects have, where this one has none of its own",
        )
    };
    let verbose = || query_parameter("verbose", "boolean", "Say why not");
    let mut put = |path: &str, operations: Vec<(&str, Operation)>| {
        let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let in_path: Vec<Value> = in_path
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let operations = operations.into_iter();
        let item: Map<String, Value> = operations
            .map(|(method, operation)| (method.to_owned(), operation.described(&in_path)))
            .collect();
        paths.insert(path.to_owned(), Value::Object(item));
    };

    let prefix = query_parameter("subjectPrefix", "string", "Those that begin so");
    let list = operation("list_subjects", "Every subject", names()).asking([deleted(), prefix]);
    put("/subjects", vec![("get", list)]);
    let lookup = operation(
        "look_schema_up",
        "Under which version the subject has a schema",
        found(),
    );
    let delete = operation("delete_subject", "Delete a subject", numbers());
    put(
        "/subjects/{subject}",
        vec![
            ("post", lookup.taking("SchemaToRegister").asking([deleted()])),
            ("delete", delete.asking([permanent()])),
        ],
    );
    let versions = operation("versions_of_subject", "Its versions", numbers());
    let given = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "version": {"type": "integer"}}});
    let register = operation("register_schema", "Register a schema; durable once answered", given);
    put(
        "/subjects/{subject}/versions",
        vec![
            ("get", versions.asking([deleted()])),
            ("post", register.taking("SchemaToRegister")),
        ],
    );
    let version = operation("get_version", "One version: its number, or `latest`", found());
    let delete = operation("delete_version", "Delete one version", json!({"type": "integer"}));
    put(
        "/subjects/{subject}/versions/{version}",
        vec![
            ("get", version.asking([deleted()])),
            ("delete", delete.asking([permanent()])),
        ],
    );
    let text = operation(
        "text_of_version",
        "The text of its schema, alone",
        json!({"type": "string"}),
    );
    put("/subjects/{subject}/versions/{version}/schema", vec![("get", text)]);
    let referring = operation("referenced_by", "The ids of the schemas that refer to it", numbers());
    put(
        "/subjects/{subject}/versions/{version}/referencedby",
        vec![("get", referring)],
    );

    let types = operation("schema_types", "The types of schemas", names());
    put("/schemas/types", vec![("get", types)]);
    let maximum = query_parameter("fetchMaxId", "boolean", "Say the highest id too");
    let by_id = operation("get_schema", "The schema of an id", found());
    put("/schemas/ids/{id}", vec![("get", by_id.asking([maximum]))]);
    let text = operation("text_of_schema", "Its text, alone", json!({"type": "string"}));
    put("/schemas/ids/{id}/schema", vec![("get", text)]);
    let subjects = operation("subjects_of_schema", "The subjects that have it", names());
    put(
        "/schemas/ids/{id}/subjects",
        vec![("get", subjects.asking([deleted()]))],
    );
    let versions = json!({"type": "array", "items": {"type": "object", "properties": {"subject": {"type": "string"}, "version": {"type": "integer"}}}});
    let versions = operation("versions_of_schema", "The subjects and versions that have it", versions);
    put(
        "/schemas/ids/{id}/versions",
        vec![("get", versions.asking([deleted()]))],
    );

    let verdict = || json!({"type": "object", "properties": {"is_compatible": {"type": "boolean"}, "messages": {"type": "array", "items": {"type": "string"}}}});
    for (path, id, summary) in [
        (
            "/compatibility/subjects/{subject}/versions",
            "check_schema",
            "Whether the subject would take it",
        ),
        (
            "/compatibility/subjects/{subject}/versions/{version}",
            "check_schema_against",
            "Whether it goes with one version",
        ),
    ] {
        let check = operation(id, summary, verdict());
        put(
            path,
            vec![("post", check.taking("SchemaToRegister").asking([verbose()]))],
        );
    }

    let level = || json!({"type": "object", "properties": {"compatibilityLevel": {"type": "string"}}});
    let mode = || json!({"type": "object", "properties": {"mode": {"type": "string"}}});
    for (of, path, asked) in [("all", "", None), ("subject", "/{subject}", Some(or_global()))] {
        let of_whom = if of == "all" {
            "all subjects that have none of their own"
        } else {
            "a subject"
        };
        let get = operation(
            format!("compatibility_of_{of}"),
            format!("The level of {of_whom}"),
            level(),
        );
        let set = operation(
            format!("set_compatibility_of_{of}"),
            format!("Set the level of {of_whom}"),
            json!({"type": "object"}),
        );
        let reset = operation(
            format!("reset_compatibility_of_{of}"),
            format!("Take the level of {of_whom} back"),
            level(),
        );
        put(
            &format!("/config{path}"),
            vec![
                ("get", get.asking(asked.clone())),
                ("put", set.taking("CompatibilityLevel")),
                ("delete", reset),
            ],
        );
        let get = operation(
            format!("mode_of_{of}"),
            format!("Whether schemas of {of_whom} are taken"),
            mode(),
        );
        let set = operation(
            format!("set_mode_of_{of}"),
            format!("Set the mode of {of_whom}"),
            mode(),
        );
        let mut operations = vec![("get", get.asking(asked)), ("put", set.taking("SchemaMode"))];
        if of == "subject" {
            let reset = operation("reset_mode_of_subject", "Take the mode of a subject back", mode());
            operations.push(("delete", reset));
        }
        put(&format!("/mode{path}"), operations);
    }
}

/// The documents of the registry, by their names.
pub(super) fn schemas() -> [(String, Value); 5] {
    let references = json!({"type": "array", "items": {"type": "object", "required": ["name", "subject", "version"], "properties": {
        "name": {"type": "string"}, "subject": {"type": "string"}, "version": {"type": "integer"}}}});
    let kind = json!({"type": "string", "description": "AVRO where it is not said; GET /schemas/types lists them"});
    [
        ("SchemaToRegister", json!({"type": "object", "required": ["schema"], "properties": {
            "schema": {"type": "string"}, "schemaType": kind.clone(), "references": references.clone()}})),
        ("RegisteredSchema", json!({"type": "object", "required": ["schema"], "properties": {
            "subject": {"type": "string"}, "version": {"type": "integer"}, "id": {"type": "integer"}, "schemaType": kind,
            "references": references, "schema": {"type": "string"}, "maxId": {"type": "integer"}}})),
        ("CompatibilityLevel", json!({"type": "object", "required": ["compatibility"], "properties": {"compatibility": {"type": "string",
            "enum": ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"]}}})),
        ("SchemaMode", json!({"type": "object", "required": ["mode"], "properties": {"mode": {"type": "string"}}})),
        ("RegistryRefusal", json!({"type": "object", "required": ["error_code", "message"], "properties": {
            "error_code": {"type": "integer"}, "message": {"type": "string"}}})),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
}

/// One method of an address.
struct Operation {
    id: String,
    summary: String,
    answer: Value,
    body: Option<&'static str>,
    parameters: Vec<Value>,
}

fn operation(id: impl Into<String>, summary: impl Into<String>, answer: Value) -> Operation {
    Operation {
        id: id.into(),
        summary: summary.into(),
        answer,
        body: None,
        parameters: Vec::new(),
    }
}

impl Operation {
    /// With a body of this name.
    fn taking(self, body: &'static str) -> Operation {
        Operation {
            body: Some(body),
            ..self
        }
    }

    /// With these parameters behind the address.
    fn asking(self, parameters: impl IntoIterator<Item = Value>) -> Operation {
        Operation {
            parameters: parameters.into_iter().collect(),
            ..self
        }
    }

    fn described(self, in_path: &[Value]) -> Value {
        let json = |schema: Value| json!({"application/vnd.schemaregistry.v1+json": {"schema": schema}});
        let parameters: Vec<Value> = in_path.iter().cloned().chain(self.parameters).collect();
        let refused = json!({"description": "Refused", "content": json(reference("RegistryRefusal"))});
        let mut described = json!({
            "operationId": format!("registry_{}", self.id), "summary": self.summary, "tags": ["schema registry"], "parameters": parameters,
            "responses": {"200": {"description": "As named", "content": json(self.answer)}, "default": refused},
        });
        if let Some(body) = self.body {
            described["requestBody"] = json!({"required": true, "content": json(reference(body))});
        }
        described
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

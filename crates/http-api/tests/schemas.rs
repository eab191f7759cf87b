//! The schema registry over HTTP: documents and codes, as its clients know them.

mod door;

use door::Door;
use serde_json::{Value, json};

/// A request with a JSON body; status and document.
async fn ask(door: &Door, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map_or_else(String::new, |body| body.to_string());
    let kind = "Content-Type: application/vnd.schemaregistry.v1+json";
    let answer = door.request(method, path, &[kind], &body).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.schemaregistry.v1+json"),
        "{answer:?}"
    );
    (answer.status, answer.json())
}

/// What a request answers: the document, or of a refusal its code.
async fn check(door: &Door, method: &str, path: &str, body: Option<Value>, expected: Value) {
    let (status, found) = ask(door, method, path, body).await;
    let found = match status {
        200 => found,
        _ => {
            let code = found["error_code"].as_u64().unwrap_or_default();
            let leads = if code >= 1000 { code / 100 } else { code };
            assert_eq!(u64::from(status), leads, "{method} {path}: {found}");
            assert!(found["message"].is_string(), "{method} {path}: {found}");
            json!(code)
        }
    };
    assert_eq!(found, expected, "{method} {path}");
}

const RECORD: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}"#;
const LONGER: &str =
    r#"{"type":"record","name":"r","fields":[{"name":"a","type":"string"},{"name":"b","type":"long","default":0}]}"#;
const OTHER: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_are_registered_found_and_deleted() {
    let door = Door::open(|_| {}).await;
    let avro = |text: &str| Some(json!({"schema": text}));
    check(&door, "GET", "/subjects", None, json!([])).await;
    check(
        &door,
        "GET",
        "/schemas/types",
        None,
        json!(["JSON", "PROTOBUF", "AVRO"]),
    )
    .await;
    check(
        &door,
        "POST",
        "/subjects/s-value/versions",
        avro(RECORD),
        json!({"id": 1, "version": 1}),
    )
    .await;
    check(
        &door,
        "POST",
        "/subjects/s-value/versions?normalize=true",
        avro(LONGER),
        json!({"id": 2, "version": 2}),
    )
    .await;
    check(&door, "POST", "/subjects/s-value/versions", avro(OTHER), json!(409)).await;
    check(&door, "POST", "/subjects/s-value/versions", avro("{"), json!(42201)).await;
    check(
        &door,
        "POST",
        "/subjects/s-value/versions",
        Some(json!({"schema": "{}", "schemaType": "XML"})),
        json!(42201),
    )
    .await;
    check(
        &door,
        "POST",
        "/subjects/s-value/versions",
        Some(json!({"no": 1})),
        json!(422),
    )
    .await;
    check(&door, "GET", "/subjects", None, json!(["s-value"])).await;
    check(&door, "GET", "/subjects/s-value/versions", None, json!([1, 2])).await;
    check(&door, "GET", "/subjects/none/versions", None, json!(40401)).await;
    let first = json!({"subject": "s-value", "version": 1, "id": 1, "schema": RECORD});
    check(&door, "GET", "/subjects/s-value/versions/1", None, first.clone()).await;
    check(&door, "POST", "/subjects/s-value", avro(RECORD), first).await;
    check(&door, "POST", "/subjects/s-value", avro(OTHER), json!(40403)).await;
    check(
        &door,
        "GET",
        "/subjects/s-value/versions/latest",
        None,
        json!({"subject": "s-value", "version": 2, "id": 2, "schema": LONGER}),
    )
    .await;
    check(&door, "GET", "/subjects/s-value/versions/9", None, json!(40402)).await;
    check(&door, "GET", "/subjects/s-value/versions/zero", None, json!(42202)).await;
    check(&door, "GET", "/schemas/ids/2", None, json!({"schema": LONGER})).await;
    check(
        &door,
        "GET",
        "/schemas/ids/2?fetchMaxId=true",
        None,
        json!({"schema": LONGER, "maxId": 2}),
    )
    .await;
    check(&door, "GET", "/schemas/ids/9", None, json!(40403)).await;
    check(
        &door,
        "GET",
        "/schemas/ids/1/versions",
        None,
        json!([{"subject": "s-value", "version": 1}]),
    )
    .await;
    check(&door, "GET", "/schemas/ids/1/subjects", None, json!(["s-value"])).await;
    assert_eq!(door.get("/subjects/s-value/versions/1/schema").await.body, RECORD);
    let judged = |path: &str| format!("/compatibility/subjects/s-value/versions{path}");
    check(
        &door,
        "POST",
        &judged("/latest"),
        avro(OTHER),
        json!({"is_compatible": false}),
    )
    .await;
    check(
        &door,
        "POST",
        &judged("/1"),
        avro(LONGER),
        json!({"is_compatible": true}),
    )
    .await;
    let (_, verbose) = ask(&door, "POST", &judged("?verbose=true"), avro(OTHER)).await;
    assert!(
        verbose["messages"][0]
            .as_str()
            .is_some_and(|why| why.contains("does not read")),
        "{verbose}"
    );
    check(&door, "DELETE", "/subjects/s-value/versions/1", None, json!(1)).await;
    check(&door, "DELETE", "/subjects/s-value/versions/1", None, json!(40406)).await;
    check(
        &door,
        "DELETE",
        "/subjects/s-value/versions/1?permanent=true",
        None,
        json!(1),
    )
    .await;
    check(&door, "DELETE", "/subjects/s-value", None, json!([2])).await;
    check(&door, "GET", "/subjects", None, json!([])).await;
    check(&door, "GET", "/subjects?deleted=true", None, json!(["s-value"])).await;
    check(&door, "DELETE", "/subjects/s-value?permanent=true", None, json!([2])).await;
    check(&door, "DELETE", "/subjects/s-value", None, json!(40401)).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_and_modes_are_set() {
    let door = Door::open(|_| {}).await;
    let level = |name: &str| Some(json!({"compatibility": name}));
    check(&door, "GET", "/config", None, json!({"compatibilityLevel": "BACKWARD"})).await;
    check(&door, "PUT", "/config", level("FULL"), json!({"compatibility": "FULL"})).await;
    check(&door, "GET", "/config/s", None, json!(40408)).await;
    check(
        &door,
        "GET",
        "/config/s?defaultToGlobal=true",
        None,
        json!({"compatibilityLevel": "FULL"}),
    )
    .await;
    check(
        &door,
        "PUT",
        "/config/s",
        level("NONE"),
        json!({"compatibility": "NONE"}),
    )
    .await;
    check(&door, "PUT", "/config/s", level("SOME"), json!(42203)).await;
    check(
        &door,
        "DELETE",
        "/config/s",
        None,
        json!({"compatibilityLevel": "NONE"}),
    )
    .await;
    check(&door, "GET", "/mode", None, json!({"mode": "READWRITE"})).await;
    check(&door, "GET", "/mode/s", None, json!(40409)).await;
    check(
        &door,
        "PUT",
        "/mode/s",
        Some(json!({"mode": "READONLY"})),
        json!({"mode": "READONLY"}),
    )
    .await;
    check(
        &door,
        "POST",
        "/subjects/s/versions",
        Some(json!({"schema": RECORD})),
        json!(42205),
    )
    .await;
    check(&door, "PUT", "/mode/s", Some(json!({"mode": "IMPORT"})), json!(42204)).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_types_and_references() {
    let door = Door::open(|_| {}).await;
    let item = "syntax = \"proto3\"; package o; message Item { string name = 1; }";
    check(
        &door,
        "POST",
        "/subjects/item.proto/versions",
        Some(json!({"schemaType": "PROTOBUF", "schema": item})),
        json!({"id": 1, "version": 1}),
    )
    .await;
    let references = json!([{"name": "item.proto", "subject": "item.proto", "version": 1}]);
    let order = "syntax = \"proto3\"; import \"item.proto\"; message Order { o.Item item = 1; }";
    check(
        &door,
        "POST",
        "/subjects/orders-value/versions",
        Some(json!({"schemaType": "PROTOBUF", "schema": order, "references": references})),
        json!({"id": 2, "version": 1}),
    )
    .await;
    check(
        &door,
        "GET",
        "/subjects/item.proto/versions/1/referencedby",
        None,
        json!([2]),
    )
    .await;
    check(&door, "DELETE", "/subjects/item.proto", None, json!(42206)).await;
    let (_, shown) = ask(&door, "GET", "/schemas/ids/2", None).await;
    assert_eq!(
        (&shown["schemaType"], &shown["references"]),
        (&json!("PROTOBUF"), &references)
    );
    let (_, serialized) = ask(&door, "GET", "/schemas/ids/1?format=serialized", None).await;
    // What is registered as a descriptor is the same schema as its text.
    check(
        &door,
        "POST",
        "/subjects/again/versions",
        Some(json!({"schemaType": "PROTOBUF", "schema": serialized["schema"]})),
        json!({"id": 1, "version": 1}),
    )
    .await;
    let json_schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    check(
        &door,
        "POST",
        "/subjects/a%2Fb/versions",
        Some(json!({"schemaType": "JSON", "schema": json_schema})),
        json!({"id": 3, "version": 1}),
    )
    .await;
    check(&door, "GET", "/subjects/a%2Fb/versions", None, json!([1])).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_avro_are_json_over_http() {
    let door = Door::open(|_| {}).await;
    door.sql(
        "CREATE STREAM ratings (item TEXT NOT NULL, stars INTEGER) KEY (item) WITH (format = 'avro', partitions = 1)",
    )
    .await;
    let append = door
        .request("POST", "/streams/ratings/events", &[], r#"{"item":"lamp","stars":5}"#)
        .await;
    assert_eq!(append.status, 200, "{append:?}");
    let unfit = door
        .request(
            "POST",
            "/streams/ratings/events",
            &[],
            r#"{"item":"lamp","stars":"many"}"#,
        )
        .await;
    assert_eq!(unfit.status, 422, "{unfit:?}");
    let read = door.get("/streams/ratings/events").await.json();
    assert_eq!(
        read["events"][0]["value"],
        json!({"item": "lamp", "stars": 5}),
        "{read}"
    );
    assert_eq!(read["events"][0]["key"], "lamp");
    door.sql("CREATE STREAM lines WITH (format = 'text', partitions = 1)")
        .await;
    door::check(&door, "POST", "/streams/lines/events", &[], "\"a line\"", (200, "", "")).await;
    let read = door.get("/streams/lines/events").await.json();
    assert_eq!(read["events"][0]["value"], json!("a line"), "{read}");
    door.close().await;
}

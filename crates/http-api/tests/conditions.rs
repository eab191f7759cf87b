//! Entities and conditions over real pieces: read, decide, append; what comes in between; every refusal.

mod door;
mod entities;
mod ground;

use door::check;
use ground::{JSON, amount, etag, open};
use serde_json::{Value, json};

const LINES: &str = "Content-Type: application/x-ndjson";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_is_read_decided_on_and_appended_to() {
    let door = open().await;
    let (events, entity) = ("/streams/accounts/events", "/streams/accounts/entities/ann");
    // Every key is an entity: without events it has the version none, which can be expected.
    let empty = door.get(entity).await;
    assert_eq!((empty.status, etag(&empty)), (200, "\"none\""));
    let expected =
        json!({"stream": "accounts", "key": "ann", "version": "none", "events": [], "next": null, "gone_before": null});
    assert_eq!(empty.json(), expected);
    let first = door
        .request("POST", events, &[JSON, "If-None-Match: *"], &amount("ann", "10.00"))
        .await;
    assert_eq!(first.status, 200, "{first:?}");
    let version = first.json()["version"].as_str().expect("a version").to_owned();
    assert_eq!(etag(&first), format!("\"{version}\""));
    // It is there now: both ways to say that it is not fail, with what came.
    for expected in ["If-None-Match: *", "If-Match: \"none\""] {
        let answer = door
            .request("POST", events, &[JSON, expected], &amount("ann", "1"))
            .await;
        assert_eq!((answer.status, etag(&answer)), (412, etag(&first)), "{answer:?}");
        let problem = answer.json();
        assert_eq!(problem["code"], "condition_failed");
        assert_eq!(problem["version"], version.as_str());
        assert_eq!(problem["key"], "ann");
        assert!(
            answer.body.contains("{\"account\":\"ann\",\"amount\":10.00}"),
            "{answer:?}"
        );
        assert_eq!(problem["came"].as_array().map(Vec::len), Some(1));
    }
    // As read, so expected; and one more time it is old.
    let read = door.get(entity).await;
    let expects = format!("If-Match: {}", etag(&read));
    let second = door
        .request(
            "POST",
            entity,
            &[LINES, &expects],
            &format!("{}\n{}", amount("ann", "2"), amount("ann", "3")),
        )
        .await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_ne!(etag(&second), etag(&first));
    let late = door
        .request("POST", entity, &[JSON, &expects], &amount("ann", "4"))
        .await;
    assert_eq!(late.status, 412, "{late:?}");
    let came: Vec<Value> = late.json()["came"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        came.iter()
            .map(|event| event["value"]["amount"].clone())
            .collect::<Vec<_>>(),
        [json!(2), json!(3)]
    );
    // Another entity is nobody's business.
    let other = door
        .request("POST", events, &[JSON, "If-None-Match: *"], &amount("bob", "1"))
        .await;
    assert_eq!(other.status, 200, "{other:?}");
    let read = door.get(entity).await;
    assert_eq!(etag(&read), etag(&second));
    assert_eq!(read.json()["events"].as_array().map(Vec::len), Some(3), "{read:?}");
    door.close().await;
}

/// Whoever folds what a refusal shows, and appends on its version or behind its position, has seen all that this stands on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_shows_a_part_lets_nobody_decide_on_it() {
    let door = open().await;
    let events = "/streams/accounts/events";
    let lines: Vec<String> = (0..250).map(|number| amount("ann", &number.to_string())).collect();
    let first = door.request("POST", events, &[LINES], &lines.join("\n")).await;
    assert_eq!(first.status, 200, "{first:?}");
    let mut expects = "If-Match: \"none\"".to_owned();
    let mut seen = 0;
    for (shown, more) in [(100, true), (100, true), (50, false)] {
        let refused = door
            .request("POST", events, &[JSON, &expects], &amount("ann", "-1"))
            .await;
        let problem = refused.json();
        let came = problem["came"].as_array().cloned().unwrap_or_default();
        assert_eq!(
            (refused.status, came.len(), &problem["more"]),
            (412, shown, &json!(more)),
            "{problem}"
        );
        for event in came {
            assert_eq!(event["value"]["amount"], seen, "in their order, none left out");
            seen += 1;
        }
        assert_eq!(
            format!("\"{}\"", problem["version"].as_str().unwrap_or_default()),
            etag(&refused)
        );
        expects = format!("If-Match: {}", etag(&refused));
    }
    let taken = door
        .request("POST", events, &[JSON, &expects], &amount("ann", "-1"))
        .await;
    assert_eq!(taken.status, 200, "{taken:?}");
    // The same of a boundary.
    let mut condition = json!({"none_of": [{"stream": "accounts", "key": "ann"}]});
    let mut shown: Vec<usize> = Vec::new();
    loop {
        let body = json!({"events": [{"stream": "notes", "value": 1}], "condition": condition}).to_string();
        let answer = door.request("POST", "/events", &[JSON], &body).await;
        if answer.status == 200 {
            break;
        }
        let problem = answer.json();
        shown.push(problem["came"].as_array().map_or(0, Vec::len));
        condition["after"] = problem["position"].clone();
        assert!(shown.len() < 9, "{problem}");
    }
    assert_eq!(shown, [100, 100, 51]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boundary_holds_over_streams_and_partitions() {
    let door = open().await;
    let seat = |course: &str, student: &str| json!({"stream": "seats", "value": {"course": course, "student": student, "kind": "taken"}});
    let append = |events: Value, condition: Value| {
        let body = json!({"events": events, "condition": condition}).to_string();
        let door = &door;
        async move { door.request("POST", "/events", &[JSON], &body).await }
    };
    let of_course = json!([{"stream": "seats", "kinds": ["taken"], "tags": ["course:c1"]}]);
    let query = json!({"query": of_course}).to_string();
    let read = door.request("POST", "/events/query", &[JSON], &query).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(
        (&read.json()["events"], &read.json()["more"]),
        (&json!([]), &json!(false))
    );
    let boundary = json!({"after": read.json()["position"], "none_of": of_course});
    // One step, two streams; in the order of the request.
    let events = json!([
        seat("c1", "s1"),
        {"stream": "accounts", "value": {"account": "s1", "amount": -5}},
        seat("c1", "s2"),
    ]);
    let taken = append(events, boundary.clone()).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let streams: Vec<Value> = taken.json()["events"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event["stream"].clone())
        .collect();
    assert_eq!(streams, ["seats", "accounts", "seats"]);
    // Whoever decided on what was there before is told what came.
    let late = append(json!([seat("c1", "s3")]), boundary.clone()).await;
    assert_eq!(late.status, 412, "{late:?}");
    assert_eq!(late.json()["code"], "condition_failed");
    let came: Vec<Value> = late.json()["came"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event["value"]["student"].clone())
        .collect();
    assert_eq!(came, ["s1", "s2"], "{late:?}");
    // Another course is not in the way, nor the same one behind the position.
    let other = json!({"after": read.json()["position"], "none_of": [{"tags": ["course:c2"]}]});
    assert_eq!(append(json!([seat("c2", "s1")]), other.clone()).await.status, 200);
    assert_eq!(append(json!([seat("c2", "s2")]), other).await.status, 412);
    let again = door.request("POST", "/events/query", &[JSON], &query).await.json();
    let boundary = json!({"after": again["position"], "none_of": of_course});
    // Several conditions hold all, or nothing is appended.
    let version = json!({"stream": "accounts", "key": "s1", "version": "none"});
    let both = append(json!([seat("c1", "s3")]), json!([boundary, version])).await;
    assert_eq!((both.status, &both.json()["key"]), (412, &json!("s1")), "{both:?}");
    let version = json!({"stream": "accounts", "key": "s2", "version": "none"});
    assert_eq!(
        append(json!([seat("c1", "s3")]), json!([boundary, version]))
            .await
            .status,
        200
    );
    // By parameters, a page at a time.
    let mut students: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = door
            .get(&format!(
                "/events?stream=seats&kind=taken&kind=left&tag=course:c1&limit=2{after}"
            ))
            .await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        students.extend(
            page["events"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|event| event["value"]["student"].clone()),
        );
        after = format!("&after={}", page["position"].as_str().unwrap_or_default());
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(students, ["s1", "s2", "s3"]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_refused_and_nothing_is_appended() {
    let door = open().await;
    let event = "{\"stream\":\"accounts\",\"value\":{\"account\":\"ann\"}}";
    let item = |item: &str| format!("{{\"none_of\":[{item}]}}");
    let many = |count: usize, one: &str| vec![one; count].join(",");
    for (condition, status, code) in [
        ("7".to_owned(), 400, "malformed_condition"),
        ("null".to_owned(), 400, "malformed_condition"),
        ("{}".to_owned(), 400, "malformed_condition"),
        (item("{\"tag\":\"a:1\"}"), 400, "malformed_condition"),
        (
            "{\"after\":\"accounts\",\"none_of\":[{}]}".to_owned(),
            400,
            "malformed_position",
        ),
        (
            "{\"after\":\"accounts/0@99\",\"none_of\":[{\"stream\":\"accounts\"}]}".to_owned(),
            400,
            "position_beyond_end",
        ),
        (
            "{\"after\":\"accounts/9@0\",\"none_of\":[{\"stream\":\"accounts\"}]}".to_owned(),
            400,
            "unknown_partition",
        ),
        (item("{\"stream\":\"nowhere\"}"), 404, "unknown_stream"),
        (item("{\"stream\":\"plain\"}"), 400, "not_indexed"),
        (item("{\"stream\":\"accounts\",\"kinds\":[\"x\"]}"), 400, "no_facets"),
        (item("{\"stream\":\"accounts\",\"tags\":[\"a:1\"]}"), 400, "no_facets"),
        // What no event can have would be a condition that always holds.
        (
            item("{\"stream\":\"seats\",\"tags\":[\"curse:c1\"]}"),
            400,
            "unknown_tag",
        ),
        (item("{\"stream\":\"seats\",\"tags\":[\"course\"]}"), 400, "unknown_tag"),
        (
            item("{\"stream\":\"seats\",\"tags\":[\"course:c1\",\"kind:x\"]}"),
            400,
            "unknown_tag",
        ),
        (item("{\"tags\":[\"curse:c1\"]}"), 400, "unknown_tag"),
        (item("{\"tags\":[\"course:c1\"]}"), 200, ""),
        (
            "{\"stream\":\"plain\",\"key\":\"k\",\"version\":\"none\"}".to_owned(),
            400,
            "not_indexed",
        ),
        (
            "{\"stream\":\"nowhere\",\"key\":\"k\",\"version\":\"none\"}".to_owned(),
            404,
            "unknown_stream",
        ),
        (
            "{\"stream\":\"accounts\",\"key\":\"k\",\"version\":\"7@0\"}".to_owned(),
            400,
            "unknown_partition",
        ),
        (
            "{\"stream\":\"accounts\",\"key\":\"k\",\"version\":\"0@99\"}".to_owned(),
            400,
            "position_beyond_end",
        ),
        (item(&many(101, "{\"key\":\"k\"}")), 400, "query_too_large"),
        (
            item(&format!(
                "{{\"stream\":\"seats\",\"tags\":[{}]}}",
                many(101, "\"course:1\"")
            )),
            400,
            "query_too_large",
        ),
        // One fewer is taken.
        (item(&many(100, "{\"stream\":\"seats\",\"key\":\"k\"}")), 200, ""),
        (
            item(&format!(
                "{{\"stream\":\"seats\",\"tags\":[{}]}}",
                many(100, "\"course:1\"")
            )),
            200,
            "",
        ),
    ] {
        let body = format!("{{\"events\":[{event}],\"condition\":{condition}}}");
        check(&door, "POST", "/events", &[JSON], &body, (status, code, "")).await;
    }
    for (headers, body, code) in [
        (vec![JSON], "[]", "malformed_append"),
        (vec![JSON], "{\"events\":[]}", "no_event"),
        (vec![JSON], "{\"events\":[{\"stream\":\"accounts\"}]}", "unfit"),
        (
            vec![JSON],
            "{\"events\":[{\"stream\":\"accounts\",\"value\":{\"account\":\"a\"}},{\"stream\":\"accounts\",\"value\":{}}]}",
            "unfit",
        ),
        (
            vec![JSON],
            "{\"events\":[{\"stream\":\"accounts\",\"key\":\"k\",\"value\":{\"account\":\"a\"}}]}",
            "key_is_made",
        ),
        (
            vec![JSON],
            "{\"events\":[{\"stream\":\"nowhere\",\"value\":1}]}",
            "unknown_stream",
        ),
        (
            vec![JSON],
            "{\"events\":[{\"stream\":\"plain\",\"value\":1}],\"conditions\":[]}",
            "malformed_append",
        ),
        (
            vec![JSON, "If-Match: \"0@0\""],
            "{\"events\":[{\"stream\":\"plain\",\"value\":1}]}",
            "malformed_condition",
        ),
        (vec![LINES], "{}", "unsupported_media_type"),
    ] {
        let answer = door.request("POST", "/events", &headers, body).await;
        assert_eq!(answer.json()["code"], code, "{body}: {answer:?}");
    }
    for (body, code) in [
        ("{}", "malformed_query"),
        ("{\"query\":[]}", "malformed_query"),
        ("{\"query\":[{\"streams\":1}]}", "malformed_query"),
        ("{\"query\":[{}],\"limit\":0}", "parameter_out_of_range"),
        ("{\"query\":[{}],\"limit\":10001}", "parameter_out_of_range"),
        ("{\"query\":[{}],\"after\":\"x\"}", "malformed_position"),
        (
            "{\"query\":[{\"stream\":\"accounts\"}],\"after\":\"accounts/0@99\"}",
            "position_beyond_end",
        ),
        ("{\"query\":[{\"stream\":\"plain\"}]}", "not_indexed"),
        ("{\"query\":[{\"tags\":[\"curse:c1\"]}]}", "unknown_tag"),
    ] {
        check(&door, "POST", "/events/query", &[JSON], body, (400, code, "")).await;
    }
    for (header, code) in [
        ("If-Match: 2@17", "malformed_version"),
        ("If-Match: \"x\"", "malformed_version"),
        ("If-Match: *", "malformed_version"),
        ("If-Match: \"0@99\"", "position_beyond_end"),
        ("If-Match: \"9@0\"", "unknown_partition"),
    ] {
        let path = "/streams/accounts/events";
        check(
            &door,
            "POST",
            path,
            &[JSON, header],
            &amount("eve", "1"),
            (400, code, ""),
        )
        .await;
    }
    let path = "/streams/plain/events?key=k";
    check(
        &door,
        "POST",
        path,
        &[JSON, "If-None-Match: *"],
        "1",
        (400, "not_indexed", "entities = 'indexed'"),
    )
    .await;
    // What was taken above is three events, and nothing of what was refused.
    let events = door.get("/streams/accounts/events").await.json();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(3), "{events}");
    assert_eq!(door.get("/streams/plain/events").await.json()["events"], json!([]));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_may_depend_on_what_came_before() {
    let door = open().await;
    let text = "Content-Type: text/plain";
    let first = "INSERT INTO accounts VALUES ('ann', 1.50) IF VERSION IS NULL";
    check(&door, "POST", "/sql", &[text], first, (200, "", "INSERT 0 1")).await;
    check(
        &door,
        "POST",
        "/sql",
        &[text],
        first,
        (412, "condition_failed", "HW412"),
    )
    .await;
    door.close().await;
}

/// A service decides on what a question says: where that is from is the position of a condition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_says_up_to_where_it_saw() {
    const POSITION: &str = "headwater-position";
    let door = open().await;
    door.sql("CREATE MATERIALIZED VIEW totals STORED AS document AS SELECT account, sum(amount) AS total FROM accounts GROUP BY account")
        .await;
    for question in [
        "SELECT sum(amount) FROM accounts WHERE account = 'ann'",
        "SELECT total FROM totals WHERE account = 'ann'",
        "SELECT * FROM totals t JOIN accounts a ON a.account = t.account",
    ] {
        let first = door
            .request("POST", "/streams/accounts/events", &[JSON], &amount("ann", "1.00"))
            .await;
        let written = format!("Headwater-After: {}", first.header(POSITION).expect("where it is"));
        let seen = door
            .request("POST", "/sql", &["Content-Type: text/plain", &written], question)
            .await;
        let seen = seen.header(POSITION).unwrap_or_else(|| panic!("{question}: {seen:?}"));
        let append = json!({
            "events": [{"stream": "accounts", "value": {"account": "ann", "amount": -1}}],
            "condition": {"after": seen, "none_of": [{"stream": "accounts", "key": "ann"}]},
        });
        let append = append.to_string();
        check(&door, "POST", "/events", &[JSON], &append, (200, "", "")).await;
        check(
            &door,
            "POST",
            "/events",
            &[JSON],
            &append,
            (412, "condition_failed", ""),
        )
        .await;
    }
    let inserted = door
        .sql("INSERT INTO accounts VALUES ('bob', 1) RETURNING amount")
        .await;
    assert!(inserted.header(POSITION).is_some(), "{inserted:?}");
    for question in [
        "SELECT 1",
        "SHOW VIEWS",
        "SELECT count(*) FROM accounts FOR SYSTEM_TIME AS OF now()",
        "SELECT * FROM totals FOR SYSTEM_TIME AS OF POSITION 'accounts/0@0,1@0'",
    ] {
        let answer = door.sql(question).await;
        assert_eq!(answer.header(POSITION), None, "{question}");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_told_of_it() {
    let door = open().await;
    door.sql("CREATE VIEW rich AS SELECT account FROM accounts WHERE amount > 100")
        .await;
    let document = door.get("/openapi.json").await.json();
    for (path, method) in [
        ("/events", "get"),
        ("/events", "post"),
        ("/events/query", "post"),
        ("/streams/accounts/events", "post"),
        ("/streams/accounts/entities/{key}", "get"),
        ("/streams/accounts/entities/{key}", "post"),
    ] {
        let operation = &document["paths"][path][method];
        assert!(operation["summary"].is_string(), "{method} {path}: {operation}");
        if method == "post" && path != "/events/query" {
            assert!(operation["responses"]["412"].is_object(), "{path}");
        }
    }
    let sql = document["paths"]["/sql"]["post"]["description"].as_str();
    assert!(sql.is_some_and(|sql| sql.ends_with("are asked here: rich.")), "{sql:?}");
    assert_eq!(
        document["paths"]["/streams/plain/entities/{key}"],
        Value::Null,
        "it has no index"
    );
    // Every schema that is named is there.
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap_or_default();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    door.close().await;
}

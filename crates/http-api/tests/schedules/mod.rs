//! Appends that are not at once, through real requests.

use serde_json::{Value, json};

use crate::door::Door;

const PATH: &str = "/streams/reminders/events";

/// Method, path, headers and body, then status and a part of the answer.
async fn check(door: &Door, method: &str, path: &str, headers: &[&str], body: &str, expected: (u16, &str)) -> Value {
    let answer = door.request(method, path, headers, body).await;
    assert_eq!(answer.status, expected.0, "{method} {path} {headers:?}: {answer:?}");
    assert!(
        answer.body.contains(expected.1),
        "{method} {path} {headers:?}: {answer:?}"
    );
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_are_listed_cancelled_and_appended() {
    let door = Door::open(|_| {}).await;
    door.sql("CREATE STREAM reminders (customer TEXT NOT NULL, amount DECIMAL(18,2)) KEY (customer)")
        .await;
    let event = "{\"customer\":\"ann\",\"amount\":1.50}";
    let at = |year: u32| format!("Headwater-Append-At: {year}-01-01T00:00:00Z");
    let named = |name: &str| format!("Headwater-Schedule: {name}");

    let made = check(
        &door,
        "POST",
        PATH,
        &[&at(2900), &named("far/1")],
        event,
        (202, "\"due\":\"2900-01-01T00:00:00Z\""),
    )
    .await;
    assert_eq!(
        (made["schedule"].as_str(), made["events"].as_u64()),
        (Some("far/1"), Some(1))
    );
    check(
        &door,
        "POST",
        PATH,
        &[&at(2901), &named("far/1")],
        event,
        (409, "schedule_exists"),
    )
    .await;
    let unnamed = check(
        &door,
        "POST",
        PATH,
        &["Headwater-Append-After: 1 hour"],
        event,
        (202, "schedule"),
    )
    .await;
    assert_eq!(unnamed["schedule"].as_str().map(str::len), Some(36));
    check(
        &door,
        "POST",
        PATH,
        &[&at(2001), &named("due")],
        &format!("{event}\n"),
        (202, "due"),
    )
    .await;

    for (headers, body, expected) in [
        (vec!["Headwater-Append-At: soon"], event, (400, "no moment")),
        (vec!["Headwater-Append-After: soon"], event, (400, "no span")),
        (vec!["Headwater-Schedule: x"], event, (400, "say when")),
        (vec!["Headwater-Append-After: 1s"], "{\"amount\":1}", (422, "customer")),
    ] {
        check(&door, "POST", PATH, &headers, body, expected).await;
    }
    check(
        &door,
        "POST",
        &format!("{PATH}?partition=0"),
        &["Headwater-Append-After: 1s"],
        event,
        (400, "when it is due"),
    )
    .await;

    let page = check(&door, "GET", "/schedules?limit=2", &[], "", (200, "\"pending\":3")).await;
    assert_eq!(page["schedules"][0]["schedule"], "due");
    // The page goes on there also where the last one of it does not wait any more.
    let next = page["next"].as_str().unwrap_or_default();
    let last = page["schedules"][1]["schedule"].as_str().unwrap_or_default();
    check(
        &door,
        "DELETE",
        &format!("/schedules/{last}"),
        &[],
        "",
        (200, "cancelled"),
    )
    .await;
    let rest = check(&door, "GET", next, &[], "", (200, "far/1")).await;
    assert_eq!(
        (rest["schedules"].as_array().map(Vec::len), &rest["next"]),
        (Some(1), &Value::Null)
    );
    check(
        &door,
        "GET",
        "/schedules?after=due",
        &[],
        "",
        (400, "malformed_position"),
    )
    .await;
    check(
        &door,
        "GET",
        "/schedules?limit=0",
        &[],
        "",
        (400, "no number from 1 to 1000"),
    )
    .await;
    let one = check(&door, "GET", "/schedules/far%2F1", &[], "", (200, "1.50")).await;
    assert_eq!(one["values"][0]["key"], json!("ann"));
    check(&door, "GET", "/schedules/nobody", &[], "", (404, "no_such_schedule")).await;
    check(&door, "DELETE", "/schedules/far%2F1", &[], "", (200, "cancelled")).await;
    check(
        &door,
        "DELETE",
        "/schedules/far%2F1",
        &[],
        "",
        (404, "no_such_schedule"),
    )
    .await;

    let schedules = door.engine.schedules().expect("there are schedules");
    schedules.append_all_due().await.expect("what is due is appended");
    let read = check(&door, "GET", PATH, &[], "", (200, "1.50")).await;
    let events = read["events"].as_array().cloned().unwrap_or_default();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["timestamp"], "2001-01-01T00:00:00Z");
    let headers: Vec<&str> = events[0]["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|header| header["value"].as_str())
        .collect();
    assert_eq!(headers, ["due", "2001-01-01T00:00:00Z"]);
    door.close().await;
}

/// A promise whose answer was lost is asked for again with its key: whatever became of it meanwhile, it is not made twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_with_a_key_is_made_once() {
    let door = Door::open(|_| {}).await;
    door.sql("CREATE STREAM reminders (customer TEXT NOT NULL, amount DECIMAL(18,2)) KEY (customer)")
        .await;
    let event = "{\"customer\":\"ann\",\"amount\":1.50}";
    let (soon, key) = ("Headwater-Append-After: 1 ms", "Idempotency-Key: k1");
    let named = [soon, "Headwater-Schedule: late-1", key];
    let first = check(&door, "POST", PATH, &named, event, (202, "\"repeated\":false")).await;
    let mut repeated = first.clone();
    repeated["repeated"] = json!(true);
    // While it waits, and once it was cancelled.
    let again = check(&door, "POST", PATH, &named, event, (202, "late-1")).await;
    assert_eq!(again, repeated);
    check(&door, "DELETE", "/schedules/late-1", &[], "", (200, "late-1")).await;
    assert_eq!(
        check(&door, "POST", PATH, &named, event, (202, "late-1")).await,
        repeated
    );
    check(&door, "GET", "/schedules", &[], "", (200, "\"pending\":0")).await;
    // Without a name the first one stays.
    let unnamed = [soon, "Idempotency-Key: k2"];
    let first = check(&door, "POST", PATH, &unnamed, event, (202, "false")).await;
    let again = check(&door, "POST", PATH, &unnamed, event, (202, "true")).await;
    assert_eq!((&first["schedule"], &first["due"]), (&again["schedule"], &again["due"]));
    // At once: none of them is there a second time.
    let headers = [soon, "Idempotency-Key: k3"];
    let both = tokio::join!(
        door.request("POST", PATH, &headers, event),
        door.request("POST", PATH, &headers, event),
    );
    assert_eq!(both.0.json()["schedule"], both.1.json()["schedule"], "{both:?}");
    check(&door, "GET", "/schedules", &[], "", (200, "\"pending\":2")).await;
    // The key stands for this request and no other.
    for (headers, body) in [
        (vec![soon, key], event),
        (
            vec!["Headwater-Append-After: 2 ms", "Headwater-Schedule: late-1", key],
            event,
        ),
        (vec![soon, "Headwater-Schedule: late-1", key], "{\"customer\":\"bob\"}"),
        (vec![key], event),
    ] {
        check(&door, "POST", PATH, &headers, body, (422, "idempotency_key_reused")).await;
    }
    // What was refused is not remembered.
    let taken = first["schedule"].as_str().unwrap_or_default();
    let taken = format!("Headwater-Schedule: {taken}");
    let fourth = "Idempotency-Key: k4";
    check(
        &door,
        "POST",
        PATH,
        &[soon, &taken, fourth],
        event,
        (409, "schedule_exists"),
    )
    .await;
    check(
        &door,
        "POST",
        PATH,
        &[soon, "Headwater-Schedule: free", fourth],
        event,
        (202, "free"),
    )
    .await;
    door.close().await;
}

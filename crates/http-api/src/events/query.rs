//! `POST /events/query` and `GET /events`: the events that match a query, over streams and partitions, in the order in which they were appended.
//!
//! The answer's `position` is where the next page begins, and what a condition says `after`: whoever decides on these events appends on the
//! condition that no other has come since.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use headwater_catalog::Catalog;
use headwater_catalog::condition::{keyed, read_position, read_query};
use headwater_eventlog::{Matching, QueryItem};
use headwater_records::Position;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body;
use crate::door::Door;
use crate::heeded;
use crate::json::event::Shown;
use crate::problem::Problem;
use crate::request::{self, Query, stated};

/// How many events a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 1_000;
const LIMIT_MAX: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a query")]
struct Written {
    query: Box<RawValue>,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<u64>,
}

/// Answers a query of several items.
pub(crate) async fn query(State(door): State<Arc<Door>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    request::json_alone(&headers)?;
    heeded::by_writer(&headers, &[])?;
    let body = body::whole(&headers, body, door.options.body_bytes_max).await?;
    let written: Written = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "the body is no query: {error}; send {{\"query\": [{{\"tags\": […]}}], \"after\": …, \"limit\": …}}"
        );
        Problem::bad_request(detail).code("malformed_query")
    })?;
    let catalog = door.state.engine.catalog();
    let items = read_query(written.query.get().as_bytes(), &|name| catalog.streams_named(name))?;
    if items.is_empty() {
        let detail = "the query has no items, so that nothing matches: an item {} stands for every event";
        return Err(Problem::bad_request(detail).code("malformed_query"));
    }
    let limit = written.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("limit is {limit}, which is no number from 1 to {LIMIT_MAX}");
        return Err(Problem::bad_request(detail).code("parameter_out_of_range"));
    }
    let after = written.after.as_deref().map(read_position).transpose()?;
    answer(&door, items, after, limit as usize).await
}

/// Answers a query of one item, written as parameters.
pub(crate) async fn search(State(door): State<Arc<Door>>, uri: Uri) -> Result<Response, Problem> {
    let known = ["stream", "kind", "key", "tag", "after", "limit"];
    let query = Query::with_lists(&uri, &known, &["kind", "tag"])?;
    let item = QueryItem {
        stream: query.get("stream").map(str::to_owned),
        kinds: query.all("kind"),
        tags: query.all("tag"),
        ..QueryItem::default()
    };
    let catalog = door.state.engine.catalog();
    let items = match query.get("key") {
        Some(key) => keyed(item, key, &|name| catalog.streams_named(name))?,
        None => vec![item],
    };
    let after = query.get("after").map(read_position).transpose()?;
    let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    answer(&door, items, after, limit).await
}

async fn answer(
    door: &Door,
    items: Vec<QueryItem>,
    after: Option<Position>,
    limit: usize,
) -> Result<Response, Problem> {
    let log = door.state.engine.log().clone();
    let reading = move || {
        after.as_ref().map_or(Ok(()), |after| log.check_kept(after))?;
        log.matching(&items, after.as_ref(), limit)
    };
    let matching = door.state.questions.spawn_blocking(reading).await;
    let matching = matching.map_err(|error| Problem::internal(format!("the read broke off: {error}")))??;
    let position = matching.position.to_string();
    let mut response = body(door.state.engine.catalog(), &matching, &position).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request::put_position(headers, &position);
    Ok(response)
}

fn body(catalog: &Catalog, matching: &Matching, position: &str) -> Vec<u8> {
    let mut body: Vec<u8> = b"{\"events\":[".to_vec();
    for (index, found) in matching.events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        let codec = catalog.codec(&found.address.stream);
        Shown::found(found).write(codec.as_ref(), &mut body);
    }
    let (position, gone_before) = (Value::from(position), Value::from(stated(&matching.gone_before)));
    let end = format!(
        "],\"position\":{position},\"more\":{},\"gone_before\":{gone_before}}}",
        matching.more
    );
    body.extend_from_slice(end.as_bytes());
    body
}

//! `GET /streams/{stream}/events`: a page of events from a position on; the tail where the client asks for server-sent events.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use headwater_records::Position;
use serde_json::Value;

use super::merge::{Merge, MergeError};
use super::{no_partition, start, stream, tail};
use crate::door::Door;
use crate::problem::Problem;
use crate::request::{self, Query};

/// How many events a page has unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;

/// Reads a page, or begins a tail.
pub(crate) async fn read(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let definition = stream(&door, &name)?;
    let query = Query::new(&uri, &["from", "partition", "limit"])?;
    let partition = query.number("partition", u64::from(u32::MAX))?;
    if let Some(partition) = partition.filter(|partition| *partition >= u64::from(definition.partitions)) {
        return Err(no_partition(&definition, partition));
    }
    let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    let tails = request::accepts(&headers, "text/event-stream");
    if tails && query.get("limit").is_some() {
        let detail = "a tail has no end, and no limit: leave it out, or read a page without Accept: text/event-stream";
        return Err(Problem::bad_request(detail).code("parameter_out_of_range"));
    }
    // A browser that lost its tail says with which id it goes on.
    let resumed = match tails {
        true => request::text_header(&headers, "last-event-id")?.filter(|id| !id.is_empty()),
        false => None,
    };
    let from = resumed.or_else(|| query.get("from")).unwrap_or("beginning");
    let mut position = start(&door, &definition, from)?;
    if let Some(partition) = partition {
        let mut only = Position::new();
        only.set(&name, partition as u32, position.get(&name, partition as u32));
        position = only;
    }
    let merge = Merge::new(
        door.state.engine.log().clone(),
        door.state.engine.catalog().clone(),
        &name,
        &position,
    );
    if tails {
        return Ok(tail::begin(&door, merge));
    }
    let bytes_max = door.options.page_bytes_max;
    let task = door.state.questions.spawn(async move { page(merge, limit, bytes_max) });
    let (body, next) = task
        .await
        .map_err(|error| Problem::internal(format!("the read broke off: {error}")))??;
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request::put_position(response.headers_mut(), &next);
    Ok(response)
}

/// The page and the position behind it.
fn page(mut merge: Merge, limit: usize, bytes_max: usize) -> Result<(Vec<u8>, String), Problem> {
    let mut body: Vec<u8> = b"{\"events\":[".to_vec();
    let mut count = 0;
    while count < limit && (count == 0 || body.len() < bytes_max) {
        let merged = match merge.next() {
            Ok(merged) => merged,
            // What stands before a batch that cannot be read is given; the next page says what is wrong with it.
            Err(MergeError::Batch { .. }) if count > 0 => break,
            Err(MergeError::Read(error)) => return Err(Problem::from(error)),
            Err(error @ MergeError::Batch { .. }) => return Err(Problem::internal(error.to_string())),
        };
        let Some(merged) = merged else { break };
        if count > 0 {
            body.push(b',');
        }
        merge.write(&merged, &mut body);
        count += 1;
    }
    let next = merge.position().to_string();
    body.extend_from_slice(format!("],\"next\":{}}}", Value::from(next.as_str())).as_bytes());
    Ok((body, next))
}

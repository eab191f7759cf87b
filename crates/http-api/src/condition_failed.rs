//! 412: what came in between, as far as readers may see it.

use axum::http::{StatusCode, header};
use headwater_catalog::condition::version_text;
use headwater_catalog::{Catalog, came_in_between};
use headwater_eventlog::{AppendError, ConditionFailed, EventLog};
use headwater_records::Address;
use serde_json::json;

use crate::json::event::Shown;
use crate::precondition;
use crate::problem::Problem;

/// The problem that says why a condition does not hold. Events that readers may not see yet are named by their address alone. Where not all are there, its
/// position and version are those behind the last one that is: who decides on these and appends on that condition is told of the others.
pub(crate) async fn problem(log: &EventLog, catalog: &Catalog, failed: ConditionFailed) -> Problem {
    let events = came_in_between(log, &failed.came).await;
    let mut came: Vec<u8> = vec![b'['];
    for (index, (address, event)) in failed.came.iter().zip(&events).enumerate() {
        if index > 0 {
            came.push(b',');
        }
        match event {
            Some(found) => {
                let codec = catalog.codec(&address.stream);
                Shown::found(found).write(codec.as_ref(), &mut came);
            }
            None => {
                let named = json!({"stream": address.stream, "partition": address.partition, "offset": address.offset});
                came.extend_from_slice(named.to_string().as_bytes());
            }
        }
    }
    came.push(b']');
    let detail = AppendError::ConditionFailed(Box::new(failed.clone())).to_string();
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "condition-failed", detail)
        .with("position", failed.seen.to_string())
        .with("more", failed.more)
        .with_raw("came", String::from_utf8_lossy(&came).into_owned());
    let last = failed.came.last().map(Address::version);
    let version = if failed.more { last } else { failed.version };
    match &failed.entity {
        None => problem,
        Some((stream, key)) => problem
            .with("stream", stream.as_str())
            .with("key", String::from_utf8_lossy(key).into_owned())
            .with("version", version_text(version))
            .header(header::ETAG, precondition::tag(version)),
    }
}

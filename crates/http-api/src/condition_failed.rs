//! 412: what came in between, as far as readers may see it.
//!
//! Invariant: an event is shown only once it is durable and counts, as to every reader. The log refuses before that, so this waits a moment for
//! the flush; what is still not there (its transaction is open) is named without what it holds.

use std::time::Duration;

use axum::http::{StatusCode, header};
use headwater_catalog::condition::version_text;
use headwater_eventlog::{ConditionFailed, EventLog};
use headwater_records::Address;
use serde_json::json;
use tokio::time::timeout;

use crate::event_json::Shown;
use crate::precondition;
use crate::problem::Problem;

/// How long the flush of what came in between is waited for: it is under way already.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// How many bytes of what came in between are shown; the rest is named, and can be read.
const SHOWN_BYTES_MAX: usize = 1024 * 1024;

/// The problem that says why a condition does not hold.
pub(crate) async fn problem(log: &EventLog, failed: ConditionFailed) -> Problem {
    // Whether or not they got there in time: what is not there is not shown.
    let _ = timeout(FLUSH_WAIT, durable(log, &failed.came)).await;
    let mut came: Vec<u8> = vec![b'['];
    for (index, address) in failed.came.iter().enumerate() {
        if index > 0 {
            came.push(b',');
        }
        let shown = came.len() < SHOWN_BYTES_MAX && show(log, address, &mut came);
        if !shown {
            let named = json!({"stream": address.stream, "partition": address.partition, "offset": address.offset});
            came.extend_from_slice(named.to_string().as_bytes());
        }
    }
    came.push(b']');
    let detail = headwater_eventlog::AppendError::ConditionFailed(Box::new(failed.clone())).to_string();
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "condition-failed", detail)
        .with("position", failed.end.to_string())
        .with_raw("came", String::from_utf8_lossy(&came).into_owned());
    match &failed.entity {
        None => problem,
        Some((stream, key)) => problem
            .with("stream", stream.as_str())
            .with("key", String::from_utf8_lossy(key).into_owned())
            .with("version", version_text(failed.version))
            .header(header::ETAG, precondition::tag(failed.version)),
    }
}

/// Resolves when all of these are flushed.
async fn durable(log: &EventLog, came: &[Address]) {
    let mut commits = log.commits();
    loop {
        commits.mark_unchanged();
        let is_flushed = |address: &Address| {
            let offsets = log.offsets(&address.stream, address.partition);
            offsets.is_none_or(|offsets| offsets.high_watermark > address.offset)
        };
        if came.iter().all(is_flushed) || commits.changed().await.is_err() {
            return;
        }
    }
}

/// Writes an event that readers may see; says whether it did.
fn show(log: &EventLog, address: &Address, out: &mut Vec<u8>) -> bool {
    let stored = log.read(&address.stream, address.partition, address.offset, 1);
    let Some(stored) = stored.ok().and_then(|batches| batches.into_iter().next()) else {
        return false;
    };
    let events = stored.batch.events().unwrap_or_default();
    let Some((offset, event)) = events.into_iter().find(|(offset, _)| *offset == address.offset) else {
        return false;
    };
    let shown = Shown {
        stream: Some(&address.stream),
        partition: address.partition,
        offset,
        event: &event,
        appended_at_us: stored.appended_at_us,
        principal: &stored.principal,
    };
    shown.write(out);
    true
}

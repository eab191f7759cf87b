//! Fetch: batches as they are stored, from the one that holds the offset asked for; waits for more where there are too few.
//!
//! What is read, and what of it need not be said again, is the session's to decide (`sessions.rs`). What stands in the log's files is not read
//! here: the answer has stretches of the log in it, whose bytes are read as they are sent (`outgoing.rs`).
//!
//! A reader of committed events is sent what lies below the last stable offset, and a list of the transactions in it that were taken back:
//! it leaves those out itself.

mod encode;
mod look;

use std::sync::Arc;
use std::time::Duration;

use headwater_eventlog::Watch;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use tokio::time::Instant;

use super::reply::{Reply, RequestError};
use crate::answer::{Answer, Pending};
use crate::broker::{Inner, READ_COMMITTED};
use crate::caller::Caller;
use crate::limits::{FETCH_BYTES_MAX, FETCH_WAIT_MAX};
use crate::metrics::count;
use crate::quotas::Direction;
use crate::sessions::{Plan, Told, TopicKey, Wanted};
use encode::{Response, Topic, VERSION_TOPIC_IDS};
use look::{Answered, Asked, Look, Names};

pub(super) type Request = FetchRequest;

pub(super) async fn answer(caller: &Caller, request: Request, reply: Reply) -> Result<Pending, RequestError> {
    let response = match respond(caller, request, reply.version).await {
        Ok(response) => response,
        Err(code) => Response {
            error_code: code.code(),
            ..Response::default()
        },
    };
    Ok(Pending::Ready(Answer::Frame(response.frame(reply)?)))
}

/// The answer; an error is that of the request as a whole.
async fn respond(caller: &Caller, request: Request, version: i16) -> Result<Response, ResponseError> {
    let broker = &caller.broker;
    let plan = broker
        .sessions
        .open(&request, version >= VERSION_TOPIC_IDS, Instant::now())?;
    let plan = Arc::new(plan);
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MAX);
    let deadline = Instant::now() + wait;
    let bytes_min = (request.min_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let bytes_max = (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let quota_max = broker.quotas.read_max(caller.user(), &caller.client_id);
    let bytes_max = bytes_max.min(quota_max.unwrap_or(usize::MAX));
    let names: Names = plan.topics.iter().map(|topic| look::name_of(broker, topic)).collect();
    let names = Arc::new(names);
    let mut watch: Option<Watch> = None;
    loop {
        // Where much waits to be sent already, answers are smaller; where there is no room, events have to wait.
        let share = broker.backlog.share();
        let asked = Asked {
            broker: Arc::clone(broker),
            plan: Arc::clone(&plan),
            names: Arc::clone(&names),
            committed: request.isolation_level == READ_COMMITTED,
            bytes_max: (share > 0).then(|| bytes_max.min(share)),
        };
        let look = Look::at(asked).await?;
        let done = look.bytes >= bytes_min || look.failed || plan.wanted.is_empty();
        if !done && watch.is_none() && Instant::now() < deadline {
            // From here on nothing is missed; what came before is seen by looking once more.
            watch = Some(broker.log.watch(watched(&plan, &names)));
            continue;
        }
        if done || !wait_for_news(watch.as_ref(), deadline).await {
            count(&broker.counters.bytes_out, look.bytes as u64);
            let over = broker.quotas.count(
                caller.user(),
                &caller.client_id,
                Direction::Read,
                look.bytes,
                Instant::now(),
            );
            let throttle_ms = caller.mute(over);
            let mut response = tell(broker, &plan, look.partitions)?;
            response.throttle_ms = throttle_ms;
            return Ok(response);
        }
    }
}

/// Whether there was news before the deadline.
async fn wait_for_news(watch: Option<&Watch>, deadline: Instant) -> bool {
    match watch {
        Some(watch) => tokio::time::timeout_at(deadline, watch.news()).await.is_ok(),
        None => false,
    }
}

/// The partitions of a plan that there are.
fn watched(plan: &Plan, names: &Names) -> Vec<(u128, u32)> {
    let key = |want: &Wanted| {
        let stream = names.get(want.topic as usize)?.as_ref().ok()?;
        Some((stream.id, u32::try_from(want.partition).ok()?))
    };
    plan.wanted.iter().filter_map(key).collect()
}

/// The answer, without what the session says need not be said again.
fn tell(broker: &Inner, plan: &Plan, partitions: Vec<Answered>) -> Result<Response, ResponseError> {
    let mut told: Vec<Option<Told>> = partitions.iter().map(|answered| Some(telling(answered))).collect();
    let session_id = broker.sessions.close(plan, &mut told, Instant::now())?;
    let mut topics: Vec<Topic> = Vec::new();
    let mut last = None;
    for ((want, answered), told) in plan.wanted.iter().zip(partitions).zip(told) {
        if told.is_none() {
            continue;
        }
        // Neighbours of one topic share its name.
        if last != Some(want.topic) {
            let key = plan.topics.get(want.topic as usize).cloned();
            topics.push(Topic {
                key: key.unwrap_or(TopicKey::Name(Arc::from(""))),
                partitions: Vec::new(),
            });
            last = Some(want.topic);
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(answered);
        }
    }
    Ok(Response {
        session_id,
        topics,
        ..Response::default()
    })
}

fn telling(answered: &Answered) -> Told {
    let data = &answered.data;
    Told {
        high_watermark: data.high_watermark,
        log_start: data.log_start_offset,
        failed: answered.failed(),
        records: answered.bytes() > 0,
    }
}

//! Fetch: batches as they are stored, from the one that holds the offset asked for; waits for more where there are too few.
//!
//! What is read, and what of it need not be said again, is the session's to decide (`sessions.rs`).
//!
//! A reader of committed events is sent what lies below the last stable offset, and a list of the transactions in it that were taken back:
//! it leaves those out itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_eventlog::{Aborted, ReadError, StoredBatch, StreamInfo, Watch};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::broker::{Inner, LEADER_EPOCH, READ_COMMITTED, check_leader_epoch};
use crate::connection::Caller;
use crate::limits::{FETCH_BYTES_MAX, FETCH_RECENT_EVENTS, FETCH_WAIT_MAX};
use crate::metrics::count;
use crate::quotas::Direction;
use crate::sessions::{Plan, Told, TopicKey, Wanted};

pub(super) type Request = FetchRequest;

/// From this version on topics are named by their ids.
const VERSION_TOPIC_IDS: i16 = 13;

/// The streams of a plan's topics, or why there is none.
type Names = Vec<Result<StreamInfo, ResponseError>>;

/// What is to be read of one partition.
struct Reading {
    stream: String,
    partition: u32,
    from: u64,
    end: u64,
    bytes_max: usize,
    /// Whether only what counts is asked for.
    committed: bool,
}

/// What was read of it.
struct Found {
    batches: Vec<StoredBatch>,
    aborted: Vec<Aborted>,
}

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> FetchResponse {
    let broker = &caller.broker;
    let by_id = version >= VERSION_TOPIC_IDS;
    let plan = match broker.sessions.open(&request, by_id, Instant::now()) {
        Ok(plan) => plan,
        Err(code) => return FetchResponse::default().with_error_code(code.code()),
    };
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MAX);
    let deadline = Instant::now() + wait;
    let bytes_min = (request.min_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let bytes_max = (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let committed = request.isolation_level == READ_COMMITTED;
    let quota_max = broker.quotas.read_max(caller.user(), &caller.client_id);
    let bytes_max = bytes_max.min(quota_max.unwrap_or(usize::MAX));
    let names: Names = plan.topics.iter().map(|topic| name_of(broker, topic)).collect();
    let mut watch: Option<Watch> = None;
    loop {
        // Where much waits to be sent already, answers are smaller; where there is no room, events have to wait.
        let share = broker.backlog.share();
        let bytes_max = (share > 0).then(|| bytes_max.min(share));
        let (partitions, bytes, failed) = read_all(broker, &plan, &names, committed, bytes_max).await;
        let done = bytes >= bytes_min || failed || plan.wanted.is_empty();
        if !done && watch.is_none() && Instant::now() < deadline {
            // From here on nothing is missed; what came before is seen by looking once more.
            watch = Some(broker.log.watch(watched(&plan, &names)));
            continue;
        }
        if done || !wait_for_news(watch.as_ref(), deadline).await {
            count(&broker.counters.bytes_out, bytes as u64);
            let over = broker
                .quotas
                .count(caller.user(), &caller.client_id, Direction::Read, bytes, Instant::now());
            return respond(broker, &plan, partitions).with_throttle_time_ms(caller.mute(over));
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

/// The stream that a topic's key stands for now.
fn name_of(broker: &Inner, topic: &TopicKey) -> Result<StreamInfo, ResponseError> {
    let (found, missing) = match topic {
        TopicKey::Id(id) => (broker.topic_by_id(*id), ResponseError::UnknownTopicId),
        TopicKey::Name(name) => (broker.log.stream(name), ResponseError::UnknownTopicOrPartition),
    };
    found.ok_or(missing)
}

/// Reads every partition once, within a limit (`None`: only offsets): what each answers, how many bytes that is, and whether one of them failed.
async fn read_all(
    broker: &Arc<Inner>,
    plan: &Plan,
    names: &Names,
    committed: bool,
    bytes_max: Option<usize>,
) -> (Vec<PartitionData>, usize, bool) {
    let mut partitions: Vec<PartitionData> = Vec::with_capacity(plan.wanted.len());
    let mut bytes = 0;
    let mut failed = false;
    for want in &plan.wanted {
        let name = match names.get(want.topic as usize) {
            Some(Ok(stream)) => Ok(stream.name.as_str()),
            Some(Err(code)) => Err(*code),
            None => Err(ResponseError::UnknownTopicOrPartition),
        };
        // The first batch is sent whatever its size, so that a reader always gets on; after it the limits hold.
        let left = bytes_max.map(|bytes_max| bytes_max.saturating_sub(bytes));
        let limit = left.filter(|left| bytes == 0 || *left > 0).map(|left| {
            let partition_max = want.bytes_max.max(0) as usize;
            (partition_max.min(left), bytes == 0)
        });
        let data = read_partition(broker, name, want, committed, limit).await;
        bytes += data.records.as_ref().map_or(0, Bytes::len);
        failed |= data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
        partitions.push(data);
    }
    (partitions, bytes, failed)
}

/// Reads one partition within a limit; the flag says that one batch beyond it is allowed. `None`: only its offsets.
async fn read_partition(
    broker: &Arc<Inner>,
    name: Result<&str, ResponseError>,
    want: &Wanted,
    committed: bool,
    limit: Option<(usize, bool)>,
) -> PartitionData {
    let stream = match name {
        Ok(stream) => stream,
        Err(code) => return refuse(want.partition, code),
    };
    let partition = u32::try_from(want.partition).ok();
    let offsets = partition.and_then(|partition| broker.log.offsets(stream, partition));
    let (Some(offsets), Some(partition)) = (offsets, partition) else {
        return refuse(want.partition, ResponseError::UnknownTopicOrPartition);
    };
    if let Err(code) = check_leader_epoch(want.leader_epoch) {
        return refuse(want.partition, code);
    }
    let data = PartitionData::default()
        .with_partition_index(want.partition)
        .with_high_watermark(offsets.high_watermark as i64)
        .with_last_stable_offset(offsets.stable as i64)
        .with_log_start_offset(offsets.start as i64)
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(committed.then(Vec::new))
        .with_records(Some(Bytes::new()));
    if want.last_fetched_epoch >= 0 && want.offset > offsets.high_watermark as i64 {
        // The reader has what was never here: it learns where the only epoch ends.
        let end = EpochEndOffset::default()
            .with_epoch(LEADER_EPOCH)
            .with_end_offset(offsets.high_watermark as i64);
        return data.with_diverging_epoch(end);
    }
    let offset = match u64::try_from(want.offset) {
        Ok(offset) if (offsets.start..=offsets.high_watermark).contains(&offset) => offset,
        // An offset below the end but above the high watermark was never given to a reader.
        _ => return data.with_error_code(ResponseError::OffsetOutOfRange.code()),
    };
    let Some((bytes_max, beyond)) = limit else { return data };
    let end = if committed {
        offsets.stable
    } else {
        offsets.high_watermark
    };
    if offset >= end {
        return data;
    }
    let recent = offsets.high_watermark - offset <= FETCH_RECENT_EVENTS;
    let reading = Reading {
        stream: stream.to_owned(),
        partition,
        from: offset,
        end,
        bytes_max,
        committed,
    };
    match read_batches(broker, reading, recent).await {
        Ok(found) => data
            .with_records(Some(join(&found.batches, bytes_max, beyond)))
            .with_aborted_transactions(committed.then(|| listed(&found.aborted))),
        Err(error) => {
            if !matches!(error, ReadError::OutOfRange { .. }) {
                tracing::error!("a fetch failed: {error}");
            }
            data.with_error_code(read_refusal(&error).code())
        }
    }
}

impl Reading {
    fn read(&self, broker: &Inner) -> Result<Found, ReadError> {
        let (stream, partition) = (self.stream.as_str(), self.partition);
        let log = &broker.log;
        let batches = log.read_stored(stream, partition, self.from, self.end, self.bytes_max)?;
        let to = batches.last().map_or(self.from, |last| last.batch.next_offset());
        let some = batches.iter().any(|stored| stored.batch.is_transactional());
        let aborted = match self.committed && some {
            true => log.aborted(stream, partition, self.from, to)?,
            false => Vec::new(),
        };
        Ok(Found { batches, aborted })
    }
}

async fn read_batches(broker: &Arc<Inner>, reading: Reading, recent: bool) -> Result<Found, ReadError> {
    if recent {
        return reading.read(broker);
    }
    let (reader, stream, partition) = (Arc::clone(broker), reading.stream.clone(), reading.partition);
    let found = tokio::task::spawn_blocking(move || reading.read(&reader));
    found.await.unwrap_or_else(|_| {
        Err(ReadError::Disk {
            stream,
            partition,
            why: "the program is stopping".to_owned(),
        })
    })
}

fn listed(aborted: &[Aborted]) -> Vec<AbortedTransaction> {
    let one = |range: &Aborted| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(range.producer_id))
            .with_first_offset(range.first as i64)
    };
    aborted.iter().map(one).collect()
}

/// The batches one after another, as many as the limit allows.
fn join(batches: &[StoredBatch], bytes_max: usize, beyond: bool) -> Bytes {
    let mut bytes = 0;
    let mut taken = 0;
    for stored in batches {
        let next = bytes + stored.batch.bytes().len();
        if next > bytes_max && !(beyond && taken == 0) {
            break;
        }
        bytes = next;
        taken += 1;
    }
    match &batches[..taken] {
        [] => Bytes::new(),
        [one] => one.batch.bytes().clone(),
        several => {
            let mut joined = BytesMut::with_capacity(bytes);
            for stored in several {
                joined.extend_from_slice(stored.batch.bytes());
            }
            joined.freeze()
        }
    }
}

fn refuse(index: i32, code: ResponseError) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(None)
        .with_records(Some(Bytes::new()))
}

fn read_refusal(error: &ReadError) -> ResponseError {
    match error {
        ReadError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
        ReadError::OutOfRange { .. } | ReadError::Expired { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Damaged { .. } | ReadError::Disk { .. } => ResponseError::KafkaStorageError,
    }
}

/// The answer, without what the session says need not be said again.
fn respond(broker: &Inner, plan: &Plan, partitions: Vec<PartitionData>) -> FetchResponse {
    let mut told: Vec<Option<Told>> = partitions.iter().map(|data| Some(telling(data))).collect();
    let id = match broker.sessions.close(plan, &mut told, Instant::now()) {
        Ok(id) => id,
        Err(code) => return FetchResponse::default().with_error_code(code.code()),
    };
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last = None;
    for ((want, data), told) in plan.wanted.iter().zip(partitions).zip(told) {
        if told.is_none() {
            continue;
        }
        // Neighbours of one topic share its name.
        if last != Some(want.topic) {
            responses.push(named(plan.topics.get(want.topic as usize)));
            last = Some(want.topic);
        }
        if let Some(response) = responses.last_mut() {
            response.partitions.push(data);
        }
    }
    FetchResponse::default().with_session_id(id).with_responses(responses)
}

fn named(topic: Option<&TopicKey>) -> FetchableTopicResponse {
    let response = FetchableTopicResponse::default();
    match topic {
        Some(TopicKey::Id(id)) => response.with_topic_id(*id),
        Some(TopicKey::Name(name)) => response.with_topic(TopicName(StrBytes::from_string(name.to_string()))),
        None => response,
    }
}

fn telling(data: &PartitionData) -> Told {
    Told {
        high_watermark: data.high_watermark,
        log_start: data.log_start_offset,
        failed: data.error_code != 0 || data.diverging_epoch.end_offset >= 0,
        records: data.records.as_ref().is_some_and(|records| !records.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use headwater_records::{Batch, Compression, Event};

    use super::*;

    fn stored(value_bytes: usize) -> StoredBatch {
        let event = Event {
            value: Some(Bytes::from(vec![b'x'; value_bytes])),
            ..Event::default()
        };
        StoredBatch {
            batch: Batch::encode(&[event], Compression::None, None),
            appended_at_us: 0,
            principal: Arc::from("anonymous"),
        }
    }

    #[test]
    fn batches_join_up_to_the_limit_and_the_first_beyond_it() {
        let batches = [stored(10), stored(10), stored(10)];
        let one = batches[0].batch.bytes().len();
        let check = |bytes_max: usize, beyond: bool, expected: usize| {
            assert_eq!(join(&batches, bytes_max, beyond).len(), expected * one, "{bytes_max}");
        };
        check(0, true, 1);
        check(0, false, 0);
        check(one - 1, false, 0);
        check(one, false, 1);
        check(2 * one - 1, true, 1);
        check(2 * one, true, 2);
        check(10 * one, true, 3);
    }
}

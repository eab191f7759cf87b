//! Fetch: batches as they are stored, from the one that holds the offset asked for; waits for more where there are too few.
//!
//! Sessions are not kept: every answer says session 0, and clients then name all their partitions each time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_eventlog::{ReadError, StoredBatch};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use tokio::time::Instant;
use uuid::Uuid;

use crate::broker::Inner;
use crate::connection::Caller;
use crate::limits::{FETCH_BYTES_MAX, FETCH_RECENT_EVENTS, FETCH_WAIT_MAX};
use crate::metrics::count;

pub(super) type Request = FetchRequest;

/// One partition that is asked for.
struct Wanted {
    topic: usize,
    index: i32,
    /// The stream's name, or why there is none.
    stream: Result<String, ResponseError>,
    offset: i64,
    bytes_max: usize,
}

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> FetchResponse {
    // A session that is to be gone on with would need the partitions named before; there are none.
    if request.session_id != 0 && request.session_epoch > 0 {
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let broker = &caller.broker;
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MAX);
    let deadline = Instant::now() + wait;
    let bytes_min = (request.min_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let bytes_max = (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let (topics, wanted) = plan(broker, request, version);
    let mut commits = broker.log.commits();
    loop {
        commits.mark_unchanged();
        let (partitions, bytes, failed) = read_all(broker, &wanted, bytes_max).await;
        let done = bytes >= bytes_min || failed || wanted.is_empty();
        if done || Instant::now() >= deadline || !wait_for_commit(&mut commits, deadline).await {
            count(&broker.counters.bytes_out, bytes as u64);
            return respond(topics, &wanted, partitions);
        }
    }
}

/// Whether something was committed before the deadline.
async fn wait_for_commit(commits: &mut tokio::sync::watch::Receiver<u64>, deadline: Instant) -> bool {
    matches!(tokio::time::timeout_at(deadline, commits.changed()).await, Ok(Ok(())))
}

fn plan(broker: &Inner, request: FetchRequest, version: i16) -> (Vec<(TopicName, Uuid)>, Vec<Wanted>) {
    let mut topics: Vec<(TopicName, Uuid)> = Vec::with_capacity(request.topics.len());
    let mut wanted: Vec<Wanted> = Vec::new();
    for topic in request.topics {
        let stream = if version >= 13 {
            broker.topic_by_id(topic.topic_id).ok_or(ResponseError::UnknownTopicId)
        } else {
            broker
                .log
                .stream(&topic.topic)
                .ok_or(ResponseError::UnknownTopicOrPartition)
        };
        let stream = stream.map(|info| info.name);
        for partition in topic.partitions {
            wanted.push(want(topics.len(), stream.clone(), &partition));
        }
        topics.push((topic.topic, topic.topic_id));
    }
    (topics, wanted)
}

fn want(topic: usize, stream: Result<String, ResponseError>, partition: &FetchPartition) -> Wanted {
    Wanted {
        topic,
        index: partition.partition,
        stream,
        offset: partition.fetch_offset,
        bytes_max: partition.partition_max_bytes.max(0) as usize,
    }
}

/// Reads every partition once: what each answers, how many bytes that is, and whether one of them failed.
async fn read_all(broker: &Arc<Inner>, wanted: &[Wanted], bytes_max: usize) -> (Vec<PartitionData>, usize, bool) {
    let mut partitions: Vec<PartitionData> = Vec::with_capacity(wanted.len());
    let mut bytes = 0;
    let mut failed = false;
    for want in wanted {
        // The first batch is sent whatever its size, so that a reader always gets on; after it the limits hold.
        let left = bytes_max.saturating_sub(bytes);
        let data = if bytes > 0 && left == 0 {
            read_partition(broker, want, None).await
        } else {
            read_partition(broker, want, Some((want.bytes_max.min(left), bytes == 0))).await
        };
        bytes += data.records.as_ref().map_or(0, Bytes::len);
        failed |= data.error_code != 0;
        partitions.push(data);
    }
    (partitions, bytes, failed)
}

/// Reads one partition within a limit; the flag says that one batch beyond it is allowed. `None`: only its offsets.
async fn read_partition(broker: &Arc<Inner>, want: &Wanted, limit: Option<(usize, bool)>) -> PartitionData {
    let stream = match &want.stream {
        Ok(stream) => stream,
        Err(code) => return refuse(want.index, *code),
    };
    let offsets = u32::try_from(want.index)
        .ok()
        .and_then(|partition| broker.log.offsets(stream, partition));
    let (Some(offsets), Ok(partition)) = (offsets, u32::try_from(want.index)) else {
        return refuse(want.index, ResponseError::UnknownTopicOrPartition);
    };
    let data = PartitionData::default()
        .with_partition_index(want.index)
        .with_high_watermark(offsets.high_watermark as i64)
        .with_last_stable_offset(offsets.high_watermark as i64)
        .with_log_start_offset(offsets.start as i64)
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(None)
        .with_records(Some(Bytes::new()));
    let offset = match u64::try_from(want.offset) {
        Ok(offset) if (offsets.start..=offsets.high_watermark).contains(&offset) => offset,
        // An offset below the end but above the high watermark was never given to a reader.
        _ => return data.with_error_code(ResponseError::OffsetOutOfRange.code()),
    };
    let Some((bytes_max, beyond)) = limit else { return data };
    if offset == offsets.high_watermark {
        return data;
    }
    let recent = offsets.high_watermark - offset <= FETCH_RECENT_EVENTS;
    let read = read_batches(broker, stream, partition, offset, bytes_max, recent).await;
    match read {
        Ok(batches) => data.with_records(Some(join(&batches, bytes_max, beyond))),
        Err(error) => {
            if !matches!(error, ReadError::OutOfRange { .. }) {
                tracing::error!("a fetch failed: {error}");
            }
            data.with_error_code(read_refusal(&error).code())
        }
    }
}

async fn read_batches(
    broker: &Arc<Inner>,
    stream: &str,
    partition: u32,
    offset: u64,
    bytes_max: usize,
    recent: bool,
) -> Result<Vec<StoredBatch>, ReadError> {
    if recent {
        return broker.log.read(stream, partition, offset, bytes_max);
    }
    let (reader, name) = (Arc::clone(broker), stream.to_owned());
    let reading = tokio::task::spawn_blocking(move || reader.log.read(&name, partition, offset, bytes_max));
    reading.await.unwrap_or_else(|_| {
        Err(ReadError::Disk {
            stream: stream.to_owned(),
            partition,
            why: "the program is stopping".to_owned(),
        })
    })
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
        ReadError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Damaged { .. } | ReadError::Disk { .. } => ResponseError::KafkaStorageError,
    }
}

fn respond(topics: Vec<(TopicName, Uuid)>, wanted: &[Wanted], partitions: Vec<PartitionData>) -> FetchResponse {
    let mut responses: Vec<FetchableTopicResponse> = topics
        .into_iter()
        .map(|(name, id)| FetchableTopicResponse::default().with_topic(name).with_topic_id(id))
        .collect();
    for (want, data) in wanted.iter().zip(partitions) {
        if let Some(response) = responses.get_mut(want.topic) {
            response.partitions.push(data);
        }
    }
    FetchResponse::default().with_responses(responses)
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

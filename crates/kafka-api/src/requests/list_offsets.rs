//! ListOffsets: the first, the last, or the offset at a time.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_eventlog::{PartitionOffsets, ReadError};
use headwater_records::EventSlice;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};

use crate::broker::{Inner, READ_COMMITTED, TimestampMax};
use crate::caller::Caller;
use crate::leader_epoch::{LEADER_EPOCH, check_leader_epoch};

pub(super) type Request = ListOffsetsRequest;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// How much is read at a time while the largest timestamp is looked for.
const LOOK_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut times: HashMap<(TopicName, i32), u32> = HashMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            *times
                .entry((topic.name.clone(), partition.partition_index))
                .or_default() += 1;
        }
    }
    let mut topics: Vec<ListOffsetsTopicResponse> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions: Vec<ListOffsetsPartitionResponse> = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            // A partition that is named twice is refused, as in Kafka: the two could ask for different things.
            let named = times.get(&(topic.name.clone(), partition.partition_index));
            partitions.push(match named {
                Some(1) => find(caller, &topic.name, &partition, committed, version).await,
                _ => nothing(&partition).with_error_code(ResponseError::InvalidRequest.code()),
            });
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// Says that there is none.
fn nothing(asked: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_timestamp(-1)
        .with_offset(-1)
        .with_leader_epoch(-1)
}

async fn find(
    caller: &Caller,
    name: &str,
    asked: &ListOffsetsPartition,
    committed: bool,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response = nothing(asked);
    let broker = &caller.broker;
    let partition = u32::try_from(asked.partition_index).ok();
    let offsets = partition.and_then(|partition| broker.log.offsets(name, partition));
    let (Some(partition), Some(offsets)) = (partition, offsets) else {
        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    if let Err(code) = check_leader_epoch(asked.current_leader_epoch) {
        return response.with_error_code(code.code());
    }
    if !is_known(asked.timestamp, version) {
        return response.with_error_code(ResponseError::UnsupportedVersion.code());
    }
    let end = if committed {
        offsets.stable
    } else {
        offsets.high_watermark
    };
    let found = look(broker, name, partition, offsets, end, asked.timestamp).await;
    match found {
        Ok(Some((offset, timestamp_ms))) => response
            .with_offset(offset as i64)
            .with_timestamp(timestamp_ms)
            .with_leader_epoch(if version >= 4 { LEADER_EPOCH } else { -1 }),
        Ok(None) => response,
        Err(ReadError::Unknown { .. }) => response.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
        // The log says it itself.
        Err(ReadError::Damaged { .. }) => response.with_error_code(ResponseError::KafkaStorageError.code()),
        Err(error) => {
            tracing::error!("offsets could not be listed: {error}");
            response.with_error_code(ResponseError::KafkaStorageError.code())
        }
    }
}

/// Whether a version has what is asked for: a moment, or one of the numbers that stand for more.
fn is_known(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. | LATEST | EARLIEST => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        _ => false,
    }
}

/// The offset and timestamp asked for, where there is one.
async fn look(
    broker: &Arc<Inner>,
    name: &str,
    partition: u32,
    offsets: PartitionOffsets,
    end: u64,
    timestamp: i64,
) -> Result<Option<(u64, i64)>, ReadError> {
    match timestamp {
        LATEST => Ok(Some((end, -1))),
        // Everything is local.
        EARLIEST | EARLIEST_LOCAL => Ok(Some((offsets.start, -1))),
        // And nothing is, or waits to be, elsewhere.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        _ => {
            let (broker, name) = (Arc::clone(broker), name.to_owned());
            let looking = tokio::task::spawn_blocking(move || match timestamp {
                MAX_TIMESTAMP => timestamp_max(&broker, &name, partition),
                timestamp_ms => broker.log.offset_for_timestamp(&name, partition, timestamp_ms),
            });
            let found = looking.await.unwrap_or(Ok(None));
            // What is not decided yet is not there for who asks for what counts.
            found.map(|found| found.filter(|(offset, _)| *offset < end))
        }
    }
}

/// The event with the largest timestamp, the first of them. What was looked at once is not looked at again.
fn timestamp_max(broker: &Inner, name: &str, partition: u32) -> Result<Option<(u64, i64)>, ReadError> {
    let Some(stream) = broker.log.stream(name) else {
        return Ok(None);
    };
    let key = (stream.id, partition);
    let mut known: TimestampMax = broker.timestamps_max.lock().get(&key).copied().unwrap_or_default();
    // What was deleted counts no more.
    let start = broker.log.offsets(name, partition).map_or(0, |offsets| offsets.start);
    if known.looked_to < start || known.found.is_some_and(|(offset, _)| offset < start) {
        known = TimestampMax {
            looked_to: start,
            found: None,
        };
    }
    loop {
        let batches = broker
            .log
            .read_stored(name, partition, known.looked_to, u64::MAX, LOOK_BYTES)?;
        let Some(last) = batches.last() else { break };
        for stored in &batches {
            let largest = known
                .found
                .is_none_or(|(_, timestamp_ms)| stored.batch.timestamp_ms_max() > timestamp_ms);
            if !largest || stored.batch.is_control() {
                continue;
            }
            let Ok(events) = stored.batch.open() else {
                // A batch that cannot be opened: its writer says so much of it.
                known.found = Some((stored.batch.base_offset(), stored.batch.timestamp_ms_max()));
                continue;
            };
            let kept = |event: &EventSlice<'_>| event.offset >= start;
            for event in events.iter().map_while(Result::ok).filter(kept) {
                if known
                    .found
                    .is_none_or(|(_, timestamp_ms)| event.timestamp_ms > timestamp_ms)
                {
                    known.found = Some((event.offset, event.timestamp_ms));
                }
            }
        }
        known.looked_to = last.batch.next_offset();
    }
    broker.timestamps_max.lock().insert(key, known);
    Ok(known.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_moment_came_with_its_version() {
        for (timestamp, since) in [
            (0, 1),
            (i64::MAX, 1),
            (LATEST, 1),
            (EARLIEST, 1),
            (MAX_TIMESTAMP, 7),
            (EARLIEST_LOCAL, 8),
            (LATEST_TIERED, 9),
            (EARLIEST_PENDING_UPLOAD, 11),
            (-7, i16::MAX),
        ] {
            for version in 1..=11 {
                assert_eq!(is_known(timestamp, version), version >= since, "{timestamp} {version}");
            }
        }
    }
}

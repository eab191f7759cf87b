//! OffsetForLeaderEpoch: where an epoch of leadership ends. There is one, and it ends where the partition does.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::caller::Caller;
use crate::leader_epoch::{LEADER_EPOCH, check_leader_epoch};

pub(super) type Request = OffsetForLeaderEpochRequest;

/// Says that there is none.
const UNDEFINED: i32 = -1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> OffsetForLeaderEpochResponse {
    let mut topics: Vec<OffsetForLeaderTopicResult> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|asked| find(caller, &topic.topic, asked));
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_partitions(partitions.collect())
                .with_topic(topic.topic),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

fn find(caller: &Caller, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let response = EpochEndOffset::default()
        .with_partition(asked.partition)
        .with_leader_epoch(UNDEFINED)
        .with_end_offset(i64::from(UNDEFINED));
    let offsets = u32::try_from(asked.partition)
        .ok()
        .and_then(|partition| caller.broker.log.offsets(topic, partition));
    let Some(offsets) = offsets else {
        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    if let Err(code) = check_leader_epoch(asked.current_leader_epoch) {
        return response.with_error_code(code.code());
    }
    match asked.leader_epoch {
        LEADER_EPOCH => response
            .with_leader_epoch(LEADER_EPOCH)
            .with_end_offset(offsets.high_watermark as i64),
        _ => response,
    }
}

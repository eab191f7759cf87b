//! DescribeTopicPartitions: topics and their partitions, page by page. A page ends with a cursor, and the next request begins there.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::broker::Inner;
use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;
use crate::limits::DESCRIBED_PARTITIONS_MAX;
use crate::operations;
use crate::own_streams::is_internal;

pub(super) type Request = DescribeTopicPartitionsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeTopicPartitionsResponse {
    let broker = &caller.broker;
    let all = request.topics.is_empty();
    let mut names: BTreeSet<String> = if all {
        broker.log.streams().into_iter().map(|info| info.name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    let mut first_partition = 0;
    if let Some(cursor) = &request.cursor {
        names = names.split_off(cursor.topic_name.as_str());
        if names.first().is_some_and(|first| *first == cursor.topic_name.as_str()) {
            first_partition = cursor.partition_index.max(0).cast_unsigned();
        }
    }
    let limit = request.response_partition_limit.max(1).cast_unsigned();
    let mut left = limit.min(DESCRIBED_PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            return response.with_next_cursor(Some(cursor(&name, 0)));
        }
        let Some(info) = broker.log.stream(&name) else {
            // One that went away since the names were listed is no news.
            if !all {
                response.topics.push(unknown(&name));
                left -= 1;
            }
            continue;
        };
        let until = info.partitions.min(first_partition.saturating_add(left));
        let partitions = (first_partition..until).map(|index| partition(broker, index));
        response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(topic_name(&name)))
                .with_topic_id(Uuid::from_u128(info.id))
                .with_is_internal(is_internal(&name))
                .with_partitions(partitions.collect())
                .with_topic_authorized_operations(operations::of_topic(&name)),
        );
        if until < info.partitions {
            return response.with_next_cursor(Some(cursor(&name, until)));
        }
        left -= until.saturating_sub(first_partition).min(left);
        first_partition = 0;
    }
    response
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match headwater_catalog::check_name(name) {
        Err(_) if !is_internal(name) => ResponseError::InvalidTopicException,
        _ => ResponseError::UnknownTopicOrPartition,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_error_code(code.code())
        .with_topic_authorized_operations(operations::NOT_ASKED)
}

fn partition(broker: &Inner, index: u32) -> DescribeTopicPartitionsResponsePartition {
    let node = broker.node_id();
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index.cast_signed())
        .with_leader_id(node)
        .with_leader_epoch(LEADER_EPOCH)
        .with_replica_nodes(vec![node])
        .with_isr_nodes(vec![node])
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

fn cursor(name: &str, partition: u32) -> Cursor {
    Cursor::default()
        .with_topic_name(topic_name(name))
        .with_partition_index(partition.cast_signed())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

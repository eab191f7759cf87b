//! DescribeProducers: the idempotent and transactional producers of partitions.

use std::collections::HashSet;

use headwater_eventlog::ProducerInfo;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};

use crate::caller::Caller;

pub(super) type Request = DescribeProducersRequest;

/// The epoch of the one coordinator of transactions there is, and what stands for none.
const COORDINATOR_EPOCH: i32 = 0;
const NO_COORDINATOR: i32 = -1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeProducersResponse {
    let transactions = caller.broker.transactions.list().into_iter();
    let transactional: HashSet<i64> = transactions.map(|(_, transaction)| transaction.producer_id).collect();
    let topic = |topic: TopicRequest| {
        let describe = |index: &i32| describe(caller, &topic.name, *index, &transactional);
        let partitions = topic.partition_indexes.iter().map(describe).collect();
        TopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    };
    DescribeProducersResponse::default().with_topics(request.topics.into_iter().map(topic).collect())
}

fn describe(caller: &Caller, topic: &str, index: i32, transactional: &HashSet<i64>) -> PartitionResponse {
    let response = PartitionResponse::default().with_partition_index(index);
    let partition = u32::try_from(index).ok();
    let producers = partition.and_then(|partition| caller.broker.log.producers(topic, partition));
    let Some(producers) = producers else {
        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    let state = |producer: ProducerInfo| {
        ProducerState::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(i32::from(producer.epoch))
            .with_last_sequence(producer.last_sequence.unwrap_or(-1))
            .with_last_timestamp(producer.heard_at_us / 1_000)
            .with_coordinator_epoch(match transactional.contains(&producer.id) {
                true => COORDINATOR_EPOCH,
                false => NO_COORDINATOR,
            })
            .with_current_txn_start_offset(producer.open_since.map_or(-1, u64::cast_signed))
    };
    response.with_active_producers(producers.into_iter().map(state).collect())
}

//! AddPartitionsToTxn: partitions that a producer is going to write to in its transaction. All of them are added or none.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::init_producer_id::producer_fenced;
use crate::caller::Caller;
use crate::own_streams::is_internal;
use crate::transactions::{Added, Place};

pub(super) type Request = AddPartitionsToTxnRequest;

/// From this version on clients know that they were fenced.
const VERSION_FENCED: i16 = 2;

/// From this version on a request speaks of several transactions.
const VERSION_SEVERAL: i16 = 4;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> AddPartitionsToTxnResponse {
    if version < VERSION_SEVERAL {
        let one = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let results = add(caller, one, version >= VERSION_FENCED).await;
        return AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results);
    }
    let mut results: Vec<AddPartitionsToTxnResult> = Vec::with_capacity(request.transactions.len());
    for one in request.transactions {
        let result = AddPartitionsToTxnResult::default().with_transactional_id(one.transactional_id.clone());
        results.push(result.with_topic_results(add(caller, one, true).await));
    }
    AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
}

async fn add(
    caller: &Caller,
    asked: AddPartitionsToTxnTransaction,
    knows_fenced: bool,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut refused: HashMap<(usize, i32), ResponseError> = HashMap::new();
    let mut added = Added::default();
    for (index, topic) in asked.topics.iter().enumerate() {
        for partition in &topic.partitions {
            match place(caller, &topic.name, *partition) {
                Ok(place) => added.places.push(place),
                Err(code) => {
                    refused.insert((index, *partition), code);
                }
            }
        }
    }
    let done = match (refused.is_empty(), asked.verify_only) {
        (false, _) => Err(ResponseError::OperationNotAttempted),
        (true, true) => verify(caller, &asked, &added),
        (true, false) => carry_out(caller, &asked, &added).await,
    };
    let code_of = |place: &(usize, i32)| match (refused.get(place), &done) {
        (Some(code), _) => code.code(),
        (None, Err(code)) => producer_fenced(*code, knows_fenced).code(),
        (None, Ok(())) => 0,
    };
    let topic = |(index, topic): (usize, AddPartitionsToTxnTopic)| {
        let result = |partition: i32| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(partition)
                .with_partition_error_code(code_of(&(index, partition)))
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(topic.partitions.into_iter().map(result).collect())
    };
    asked.topics.into_iter().enumerate().map(topic).collect()
}

async fn carry_out(caller: &Caller, asked: &AddPartitionsToTxnTransaction, added: &Added) -> Result<(), ResponseError> {
    if asked.transactional_id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    let who = (asked.producer_id.0, asked.producer_epoch);
    let (broker, id) = (&caller.broker, &asked.transactional_id);
    let offsets = &broker.groups.offsets;
    broker
        .transactions
        .add(offsets, id, who, added, &caller.principal)
        .await
}

/// Whether the transaction has the partitions already.
fn verify(caller: &Caller, asked: &AddPartitionsToTxnTransaction, added: &Added) -> Result<(), ResponseError> {
    let known = caller.broker.transactions.look(&asked.transactional_id);
    let known = known.ok_or(ResponseError::InvalidProducerIdMapping)?;
    known.check((asked.producer_id.0, asked.producer_epoch))?;
    match added.places.iter().all(|place| known.holds(place)) {
        true => Ok(()),
        false => Err(ResponseError::TransactionAbortable),
    }
}

fn place(caller: &Caller, name: &str, partition: i32) -> Result<Place, ResponseError> {
    let info = caller
        .broker
        .log
        .stream(name)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    if is_internal(name) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let partition = u32::try_from(partition)
        .ok()
        .filter(|partition| *partition < info.partitions);
    Ok(Place {
        stream_id: info.id,
        stream: info.name,
        partition: partition.ok_or(ResponseError::UnknownTopicOrPartition)?,
    })
}

//! TxnOffsetCommit: how far a group will have got once a producer's transaction is committed. Durable when answered, seen with the commit.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{ApiKey, TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::{offset_commit, topic_ids};
use crate::caller::Caller;
use crate::groups::{Commit, Committer, check_group_id};
use crate::transactions::Added;

pub(super) type Request = TxnOffsetCommitRequest;

/// From this version on clients know that a transaction can only be aborted.
const VERSION_ABORTABLE: i16 = 4;

/// From this version on the group is added to the transaction here (KIP-890).
const VERSION_ADDS: i16 = 5;

/// From this version on clients know the consumer protocol's errors (KIP-1319).
const VERSION_EPOCHS: i16 = 6;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> TxnOffsetCommitResponse {
    let allowed = check(caller, &request, version).await;
    let by_id = topic_ids::names_by_id(ApiKey::TxnOffsetCommit, version);
    let mut commits: Vec<Commit> = Vec::new();
    let mut refused: HashMap<(usize, usize), ResponseError> = HashMap::new();
    for (topic_index, topic) in request.topics.iter().enumerate() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            let asked = as_plain(partition);
            match allowed.and_then(|()| offset_commit::check(caller, &topic.name, by_id, &asked, None)) {
                Ok(commit) => commits.push(commit),
                Err(code) => {
                    refused.insert((topic_index, index), code);
                }
            }
        }
    }
    let written = match commits.is_empty() {
        true => Ok(()),
        false => add(caller, &request, commits, version).await,
    };
    let code_of = |place: (usize, usize)| match (refused.get(&place), &written) {
        (Some(code), _) | (None, Err(code)) => code.code(),
        (None, Ok(())) => 0,
    };
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for (topic_index, topic) in request.topics.into_iter().enumerate() {
        let partition = |(index, partition): (usize, TxnOffsetCommitRequestPartition)| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of((topic_index, index)))
        };
        topics.push(
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(topic.partitions.into_iter().enumerate().map(partition).collect()),
        );
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

/// Whether the producer may commit, and the member for its group.
async fn check(caller: &Caller, request: &Request, version: i16) -> Result<(), ResponseError> {
    check_group_id(&request.group_id)?;
    let known = caller.broker.transactions.look(&request.transactional_id);
    let known = known.ok_or(ResponseError::InvalidProducerIdMapping)?;
    let who = (request.producer_id.0, request.producer_epoch);
    known.check(who).map_err(as_log)?;
    if version < VERSION_ADDS && !known.holds_group(&request.group_id) {
        return Err(match version >= VERSION_ABORTABLE {
            true => ResponseError::TransactionAbortable,
            false => ResponseError::InvalidTxnState,
        });
    }
    let committer = Committer {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
        in_transaction: true,
        knows_epochs: version >= VERSION_EPOCHS,
    };
    caller.broker.groups.may_commit(&request.group_id, committer).await
}

async fn add(caller: &Caller, request: &Request, offsets: Vec<Commit>, version: i16) -> Result<(), ResponseError> {
    let added = Added {
        group: Some(request.group_id.to_string()),
        offsets,
        ..Added::default()
    };
    let who = (request.producer_id.0, request.producer_epoch);
    let (broker, id) = (&caller.broker, &request.transactional_id);
    let done = broker
        .transactions
        .add(&broker.groups.offsets, id, who, &added, &caller.principal)
        .await;
    done.map_err(|code| match (code, version >= VERSION_ABORTABLE) {
        // The offsets are too many. That the state is invalid would be the end of older clients; this they abort.
        (ResponseError::TransactionAbortable, false) => ResponseError::InvalidCommitOffsetSize,
        (code, _) => as_log(code),
    })
}

/// A producer that was fenced is told so as it is where it writes.
fn as_log(code: ResponseError) -> ResponseError {
    match code {
        ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
        code => code,
    }
}

fn as_plain(partition: &TxnOffsetCommitRequestPartition) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition::default()
        .with_partition_index(partition.partition_index)
        .with_committed_offset(partition.committed_offset)
        .with_committed_leader_epoch(partition.committed_leader_epoch)
        .with_committed_metadata(partition.committed_metadata.clone())
}

//! OffsetCommit: how far a group has got, durable when answered.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{ApiKey, OffsetCommitRequest, OffsetCommitResponse};

use super::topic_ids;
use crate::caller::Caller;
use crate::groups::{Commit, Committer, check_group_id};
use crate::limits::COMMIT_METADATA_BYTES_MAX;

pub(super) type Request = OffsetCommitRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> OffsetCommitResponse {
    let broker = &caller.broker;
    let group_id = request.group_id.clone();
    // Clients older than groups' names commit to a group without one, as they may in Kafka.
    let named = match group_id.is_empty() {
        true => Ok(()),
        false => check_group_id(&group_id),
    };
    let committer = Committer {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
        in_transaction: false,
        knows_epochs: version >= 9,
    };
    let allowed = match named {
        Ok(()) => broker.groups.may_commit(&group_id, committer).await,
        Err(code) => Err(code),
    };
    // Only versions 2 to 4 can say so.
    let retention_ms = u64::try_from(request.retention_time_ms).ok();
    let expires_ms = retention_ms.map(|retention_ms| broker.groups.now_ms().saturating_add(retention_ms));
    let by_id = topic_ids::names_by_id(ApiKey::OffsetCommit, version);
    let mut commits: Vec<Commit> = Vec::new();
    let mut refused: HashMap<(usize, usize), ResponseError> = HashMap::new();
    for (topic_index, topic) in request.topics.iter().enumerate() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            let checked = allowed.and_then(|()| check(caller, &topic.name, by_id, partition, expires_ms));
            match checked {
                Ok(commit) => commits.push(commit),
                Err(code) => {
                    refused.insert((topic_index, index), code);
                }
            }
        }
    }
    let offsets = &broker.groups.offsets;
    let written = match offsets.events(&group_id, &commits) {
        Ok(events) => offsets.append(events, &caller.principal).await,
        Err(code) => Err(code),
    };
    let code_of = |place: (usize, usize)| match (refused.get(&place), &written) {
        (Some(code), _) | (None, Err(code)) => code.code(),
        (None, Ok(())) => 0,
    };
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for (topic_index, topic) in request.topics.into_iter().enumerate() {
        let partition = |(index, partition): (usize, OffsetCommitRequestPartition)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of((topic_index, index)))
        };
        let partitions = topic.partitions.into_iter().enumerate().map(partition).collect();
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    OffsetCommitResponse::default().with_topics(topics)
}

pub(super) fn check(
    caller: &Caller,
    name: &str,
    by_id: bool,
    asked: &OffsetCommitRequestPartition,
    expires_ms: Option<u64>,
) -> Result<Commit, ResponseError> {
    let broker = &caller.broker;
    let info = match by_id {
        true => topic_ids::id(name)
            .and_then(|id| broker.topic_by_id(id))
            .ok_or(ResponseError::UnknownTopicId)?,
        false => broker.log.stream(name).ok_or(ResponseError::UnknownTopicOrPartition)?,
    };
    let partition = u32::try_from(asked.partition_index)
        .ok()
        .filter(|partition| *partition < info.partitions)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let metadata = asked
        .committed_metadata
        .as_ref()
        .map_or("", |metadata| metadata.as_str());
    if metadata.len() > COMMIT_METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    // A negative one is taken, as by Kafka: kafkajs commits -1 and -2 for "latest" and "earliest", and reads them as that.
    Ok(Commit {
        stream: info.name,
        stream_id: info.id,
        partition,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: metadata.to_owned(),
        expires_ms,
    })
}

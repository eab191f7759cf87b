//! AlterShareGroupOffsets (KIP-932): says where a share group without members goes on, also one that is not there yet.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use uuid::Uuid;

use crate::caller::Caller;

pub(super) type Request = AlterShareGroupOffsetsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> AlterShareGroupOffsetsResponse {
    let broker = &caller.broker;
    let group_id = request.group_id;
    if let Err(code) = broker.groups.found_share(&group_id).await {
        return AlterShareGroupOffsetsResponse::default().with_error_code(code.code());
    }
    let begins = broker.shares.terms(&group_id).begins;
    let mut responses: Vec<AlterShareGroupOffsetsResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let info = broker.log.stream(&topic.topic_name);
        let mut partitions: Vec<AlterShareGroupOffsetsResponsePartition> = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let found = info.as_ref().zip(u32::try_from(index).ok());
            let set = match (
                found.filter(|(info, partition)| *partition < info.partitions),
                u64::try_from(partition.start_offset),
            ) {
                (Some((info, partition)), Ok(start)) => {
                    broker.shares.set_start(&group_id, info, partition, begins, start).await
                }
                (None, _) => Err(ResponseError::UnknownTopicOrPartition),
                (_, Err(_)) => Err(ResponseError::InvalidRequest),
            };
            partitions.push(
                AlterShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(set.map_or_else(|code| code.code(), |()| 0)),
            );
        }
        responses.push(
            AlterShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name)
                .with_topic_id(info.as_ref().map_or(Uuid::nil(), |info| Uuid::from_u128(info.id)))
                .with_partitions(partitions),
        );
    }
    AlterShareGroupOffsetsResponse::default().with_responses(responses)
}

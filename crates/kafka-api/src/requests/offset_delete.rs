//! OffsetDelete: forgets what a group committed for partitions that no member reads.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::caller::Caller;
use crate::groups::Place;

pub(super) type Request = OffsetDeleteRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> OffsetDeleteResponse {
    let refuse = |code: ResponseError| OffsetDeleteResponse::default().with_error_code(code.code());
    if request.group_id.is_empty() {
        return refuse(ResponseError::InvalidGroupId);
    }
    let mut places: Vec<Place> = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            if let Some(place) = place(caller, &topic.name, partition.partition_index) {
                places.push(place);
            }
        }
    }
    let groups = &caller.broker.groups;
    let deleted = match groups
        .delete_offsets(&request.group_id, &places, &caller.principal)
        .await
    {
        Ok(deleted) => deleted,
        Err(code) => return refuse(code),
    };
    let mut deleted = deleted.into_iter();
    let mut topics: Vec<OffsetDeleteResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions: Vec<OffsetDeleteResponsePartition> = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let outcome = match place(caller, &topic.name, index) {
                Some(_) => deleted.next().unwrap_or(Err(ResponseError::UnknownServerError)),
                None => Err(ResponseError::UnknownTopicOrPartition),
            };
            partitions.push(
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(outcome.map_or_else(|code| code.code(), |()| 0)),
            );
        }
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    OffsetDeleteResponse::default().with_topics(topics)
}

/// The partition, where there is one.
fn place(caller: &Caller, name: &str, index: i32) -> Option<Place> {
    let info = caller.broker.log.stream(name)?;
    let partition = u32::try_from(index)
        .ok()
        .filter(|partition| *partition < info.partitions)?;
    Some((info.name, partition))
}

//! OffsetFetch: how far groups have got.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::connection::Caller;
use crate::groups::Committed;

pub(super) type Request = OffsetFetchRequest;

/// A topic and the partitions of it that are asked for.
type Asked = (TopicName, Vec<i32>);

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> OffsetFetchResponse {
    if version < 8 {
        let asked = request.topics.map(|topics| {
            let topic = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                (topic.name, topic.partition_indexes)
            };
            topics.into_iter().map(topic).collect()
        });
        let topics = look(caller, &request.group_id, asked, |name, partitions| {
            OffsetFetchResponseTopic::default().with_name(name).with_partitions(
                partitions
                    .into_iter()
                    .map(|(index, committed)| one(index, committed))
                    .collect(),
            )
        });
        return OffsetFetchResponse::default().with_topics(topics);
    }
    let mut groups: Vec<OffsetFetchResponseGroup> = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let asked = group.topics.map(|topics| {
            let topic = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics| {
                (topic.name, topic.partition_indexes)
            };
            topics.into_iter().map(topic).collect()
        });
        let topics = look(caller, &group.group_id, asked, |name, partitions| {
            OffsetFetchResponseTopics::default().with_name(name).with_partitions(
                partitions
                    .into_iter()
                    .map(|(index, committed)| several(index, committed))
                    .collect(),
            )
        });
        groups.push(
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id)
                .with_topics(topics),
        );
    }
    OffsetFetchResponse::default().with_groups(groups)
}

/// What a group committed for what is asked, or for everything.
fn look<T>(
    caller: &Caller,
    group_id: &str,
    asked: Option<Vec<Asked>>,
    mut topic: impl FnMut(TopicName, Vec<(i32, Option<Committed>)>) -> T,
) -> Vec<T> {
    let offsets = &caller.broker.groups.offsets;
    let everything = asked.is_none();
    let asked = asked.unwrap_or_else(|| all(offsets.partitions(group_id)));
    let mut topics: Vec<T> = Vec::with_capacity(asked.len());
    for (name, indexes) in asked {
        let info = caller.broker.log.stream(&name);
        let mut partitions: Vec<(i32, Option<Committed>)> = Vec::with_capacity(indexes.len());
        for index in indexes {
            let committed = match (&info, u32::try_from(index)) {
                (Some(info), Ok(partition)) => offsets.committed(group_id, &info.name, info.id, partition),
                _ => None,
            };
            if committed.is_some() || !everything {
                partitions.push((index, committed));
            }
        }
        if !partitions.is_empty() || !everything {
            topics.push(topic(name, partitions));
        }
    }
    topics
}

fn all(partitions: Vec<(String, u32)>) -> Vec<Asked> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (name, partition) in partitions {
        topics.entry(name).or_default().push(partition.cast_signed());
    }
    let asked = |(name, partitions)| (TopicName(StrBytes::from_string(name)), partitions);
    topics.into_iter().map(asked).collect()
}

fn one(index: i32, committed: Option<Committed>) -> OffsetFetchResponsePartition {
    let response = OffsetFetchResponsePartition::default().with_partition_index(index);
    match committed {
        Some(committed) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
        None => response
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new())),
    }
}

fn several(index: i32, committed: Option<Committed>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(index);
    match committed {
        Some(committed) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
        None => response
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new())),
    }
}

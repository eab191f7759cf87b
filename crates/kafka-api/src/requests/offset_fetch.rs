//! OffsetFetch: how far groups have got.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{ApiKey, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::topic_ids;
use crate::caller::Caller;
use crate::groups::Committed;

pub(super) type Request = OffsetFetchRequest;

/// A topic and the partitions of it that are asked for.
type Asked = (TopicName, Vec<i32>);

/// What stands where a topic is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    ByName,
    ById,
}

/// A partition and what is committed for it, where something is.
type Found = (i32, Result<Option<Committed>, ResponseError>);

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    let naming = match topic_ids::names_by_id(ApiKey::OffsetFetch, version) {
        true => Naming::ById,
        false => Naming::ByName,
    };
    if version < 8 {
        let asked = request.topics.map(|topics| {
            let topic = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                (topic.name, topic.partition_indexes)
            };
            topics.into_iter().map(topic).collect()
        });
        if let Err(code) = caller.broker.groups.may_fetch(&request.group_id, None, -1) {
            return OffsetFetchResponse::default().with_error_code(code.code());
        }
        let topics = look(
            caller,
            &request.group_id,
            asked,
            require_stable,
            naming,
            |name, partitions| {
                OffsetFetchResponseTopic::default()
                    .with_name(name)
                    .with_partitions(partitions.into_iter().map(one).collect())
            },
        );
        return OffsetFetchResponse::default().with_topics(topics);
    }
    let mut groups: Vec<OffsetFetchResponseGroup> = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let member_id = group.member_id.as_ref().map(|id| id.as_str());
        let allowed = caller
            .broker
            .groups
            .may_fetch(&group.group_id, member_id, group.member_epoch);
        if let Err(code) = allowed {
            groups.push(
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id)
                    .with_error_code(code.code()),
            );
            continue;
        }
        let asked = group.topics.map(|topics| {
            let topic = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics| {
                (topic.name, topic.partition_indexes)
            };
            topics.into_iter().map(topic).collect()
        });
        let topics = look(
            caller,
            &group.group_id,
            asked,
            require_stable,
            naming,
            |name, partitions| {
                OffsetFetchResponseTopics::default()
                    .with_name(name)
                    .with_partitions(partitions.into_iter().map(several).collect())
            },
        );
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
    require_stable: bool,
    naming: Naming,
    mut topic: impl FnMut(TopicName, Vec<Found>) -> T,
) -> Vec<T> {
    let offsets = &caller.broker.groups.offsets;
    let everything = asked.is_none();
    let asked = asked.unwrap_or_else(|| all(caller, offsets.partitions(group_id), naming));
    let mut topics: Vec<T> = Vec::with_capacity(asked.len());
    // As Kafka does it, ids that no topic has come behind the others.
    let mut unknown: Vec<T> = Vec::new();
    for (name, indexes) in asked {
        let info = match naming {
            Naming::ById => topic_ids::id(&name).and_then(|id| caller.broker.topic_by_id(id)),
            Naming::ByName => caller.broker.log.stream(&name),
        };
        let mut partitions: Vec<Found> = Vec::with_capacity(indexes.len());
        for index in indexes {
            let committed = match (&info, u32::try_from(index)) {
                (Some(info), Ok(partition))
                    if require_stable && offsets.is_pending(group_id, &info.name, partition) =>
                {
                    Err(ResponseError::UnstableOffsetCommit)
                }
                (Some(info), Ok(partition)) => Ok(offsets.committed(group_id, &info.name, info.id, partition)),
                (None, _) if naming == Naming::ById => Err(ResponseError::UnknownTopicId),
                _ => Ok(None),
            };
            if committed != Ok(None) || !everything {
                partitions.push((index, committed));
            }
        }
        if !partitions.is_empty() || !everything {
            match info.is_none() && naming == Naming::ById {
                true => unknown.push(topic(name, partitions)),
                false => topics.push(topic(name, partitions)),
            }
        }
    }
    topics.extend(unknown);
    topics
}

fn all(caller: &Caller, partitions: Vec<(String, u32)>, naming: Naming) -> Vec<Asked> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (name, partition) in partitions {
        topics.entry(name).or_default().push(partition.cast_signed());
    }
    let mut asked: Vec<Asked> = Vec::with_capacity(topics.len());
    for (name, partitions) in topics {
        let name = match naming {
            Naming::ByName => Some(StrBytes::from_string(name)),
            // A topic that is gone has no id; what was committed for it is not told in either way.
            Naming::ById => caller.broker.log.stream(&name).map(|info| topic_ids::name(info.id)),
        };
        asked.extend(name.map(|name| (TopicName(name), partitions)));
    }
    asked
}

fn one((index, committed): Found) -> OffsetFetchResponsePartition {
    let response = OffsetFetchResponsePartition::default().with_partition_index(index);
    match committed {
        Ok(Some(committed)) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
        none => response
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new()))
            .with_error_code(none.map_or_else(|code| code.code(), |_| 0)),
    }
}

fn several((index, committed): Found) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(index);
    match committed {
        Ok(Some(committed)) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
        none => response
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new()))
            .with_error_code(none.map_or_else(|code| code.code(), |_| 0)),
    }
}

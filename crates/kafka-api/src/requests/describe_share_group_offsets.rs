//! DescribeShareGroupOffsets (KIP-932): where share groups go on.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::broker::LEADER_EPOCH;
use crate::connection::Caller;

pub(super) type Request = DescribeShareGroupOffsetsRequest;

/// The offset of a partition that the group has not read.
const NONE: i64 = -1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeShareGroupOffsetsResponse {
    let broker = &caller.broker;
    let mut groups: Vec<DescribeShareGroupOffsetsResponseGroup> = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let described = DescribeShareGroupOffsetsResponseGroup::default().with_group_id(group.group_id.clone());
        if let Err(code) = broker.groups.check_share(&group.group_id) {
            groups.push(
                described
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_static_str("there is no such share group"))),
            );
            continue;
        }
        let starts: BTreeMap<(u128, u32), u64> = broker.shares.starts(&group.group_id).into_iter().collect();
        let asked: Vec<(TopicName, Vec<i32>)> = match group.topics {
            Some(topics) => topics
                .into_iter()
                .map(|topic| (topic.topic_name, topic.partitions))
                .collect(),
            None => all(caller, &starts),
        };
        let topics = asked
            .into_iter()
            .map(|(name, partitions)| topic(caller, &starts, name, partitions));
        groups.push(described.with_topics(topics.collect()));
    }
    DescribeShareGroupOffsetsResponse::default().with_groups(groups)
}

/// Every partition that a group has read.
fn all(caller: &Caller, starts: &BTreeMap<(u128, u32), u64>) -> Vec<(TopicName, Vec<i32>)> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (id, partition) in starts.keys() {
        if let Some(info) = caller.broker.topic_by_id(Uuid::from_u128(*id)) {
            topics.entry(info.name).or_default().push(partition.cast_signed());
        }
    }
    let named = |(name, partitions)| (TopicName(StrBytes::from_string(name)), partitions);
    topics.into_iter().map(named).collect()
}

fn topic(
    caller: &Caller,
    starts: &BTreeMap<(u128, u32), u64>,
    name: TopicName,
    partitions: Vec<i32>,
) -> DescribeShareGroupOffsetsResponseTopic {
    let info = caller.broker.log.stream(&name);
    let partition = |index: i32| {
        let response = DescribeShareGroupOffsetsResponsePartition::default().with_partition_index(index);
        let found = info.as_ref().zip(u32::try_from(index).ok());
        match found.filter(|(info, partition)| *partition < info.partitions) {
            None => response
                .with_start_offset(NONE)
                .with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            Some((info, partition)) => match starts.get(&(info.id, partition)) {
                Some(start) => response
                    .with_start_offset(start.cast_signed())
                    .with_leader_epoch(LEADER_EPOCH),
                None => response.with_start_offset(NONE),
            },
        }
    };
    DescribeShareGroupOffsetsResponseTopic::default()
        .with_topic_name(name)
        .with_topic_id(info.as_ref().map_or(Uuid::nil(), |info| Uuid::from_u128(info.id)))
        .with_partitions(partitions.into_iter().map(partition).collect())
}

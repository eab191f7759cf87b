//! DescribeShareGroupOffsets (KIP-932): where share groups go on.

use std::collections::BTreeMap;

use headwater_eventlog::PartitionOffsets;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::ahead;
use super::no_group::not_there;
use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;
use crate::shares::{Place, Standing};

pub(super) type Request = DescribeShareGroupOffsetsRequest;

/// The offset and the lag of a partition that the group has not read.
const NONE: i64 = -1;

/// From this version on the answer says how many events a group has before it (KIP-1226): a later field.
const VERSION_LAG: i16 = 1;
const LAG: i32 = 3;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DescribeShareGroupOffsetsResponse {
    let broker = &caller.broker;
    let mut groups: Vec<DescribeShareGroupOffsetsResponseGroup> = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let described = DescribeShareGroupOffsetsResponseGroup::default().with_group_id(group.group_id.clone());
        if let Err(code) = broker.groups.check_share(&group.group_id) {
            groups.push(
                described
                    .with_error_code(code.code())
                    .with_error_message(Some(not_there(&group.group_id))),
            );
            continue;
        }
        let standings = broker.shares.standings(&group.group_id);
        let asked: Vec<(TopicName, Vec<i32>)> = match group.topics {
            Some(topics) => topics
                .into_iter()
                .map(|topic| (topic.topic_name, topic.partitions))
                .collect(),
            None => all(caller, &standings),
        };
        let topics = asked
            .into_iter()
            .map(|(name, partitions)| topic(caller, &standings, name, partitions, version));
        groups.push(described.with_topics(topics.collect()));
    }
    DescribeShareGroupOffsetsResponse::default().with_groups(groups)
}

/// Every partition that a group has read.
fn all(caller: &Caller, standings: &BTreeMap<Place, Standing>) -> Vec<(TopicName, Vec<i32>)> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (id, partition) in standings.keys() {
        if let Some(info) = caller.broker.topic_by_id(Uuid::from_u128(*id)) {
            topics.entry(info.name).or_default().push(partition.cast_signed());
        }
    }
    let named = |(name, partitions)| (TopicName(StrBytes::from_string(name)), partitions);
    topics.into_iter().map(named).collect()
}

fn topic(
    caller: &Caller,
    standings: &BTreeMap<Place, Standing>,
    name: TopicName,
    partitions: Vec<i32>,
    version: i16,
) -> DescribeShareGroupOffsetsResponseTopic {
    let info = caller.broker.log.stream(&name);
    let partition = |index: i32| {
        let response = DescribeShareGroupOffsetsResponsePartition::default()
            .with_partition_index(index)
            .with_start_offset(NONE);
        let found = info.as_ref().zip(u32::try_from(index).ok());
        let known = found.filter(|(info, partition)| *partition < info.partitions);
        let standing = known.and_then(|(info, partition)| standings.get(&(info.id, partition)));
        let offsets = known.and_then(|(_, partition)| caller.broker.log.offsets(&name, partition));
        // Where no event has ever been, none was given: a group that looked there is no further than one that did not.
        let standing = standing.filter(|_| offsets.is_some_and(|offsets| offsets.high_watermark > 0));
        let mut response = match (known, standing) {
            (None, _) => response.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            (Some(_), None) => response,
            (Some(_), Some(standing)) => response
                .with_start_offset(standing.start.cast_signed())
                .with_leader_epoch(LEADER_EPOCH),
        };
        if version >= VERSION_LAG {
            let lag = offsets.zip(standing).map(|(offsets, standing)| lag(offsets, *standing));
            let lag = lag.map_or(NONE, u64::cast_signed);
            ahead::put(&mut response.unknown_tagged_fields, LAG, lag.to_be_bytes().to_vec());
        }
        response
    };
    let partitions = partitions.into_iter().map(partition).collect();
    DescribeShareGroupOffsetsResponseTopic::default()
        .with_topic_name(name)
        .with_topic_id(info.as_ref().map_or(Uuid::nil(), |info| Uuid::from_u128(info.id)))
        .with_partitions(partitions)
}

/// How many events of a partition are there that a group is not done with.
fn lag(offsets: PartitionOffsets, standing: Standing) -> u64 {
    let start = standing.start.max(offsets.start);
    offsets
        .high_watermark
        .saturating_sub(start)
        .saturating_sub(standing.done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_what_is_there_and_not_done_with() {
        let check = |start: u64, high_watermark: u64, standing: (u64, u64), expected: u64| {
            let offsets = PartitionOffsets {
                start,
                high_watermark,
                ..PartitionOffsets::default()
            };
            let (start, done) = standing;
            assert_eq!(
                lag(offsets, Standing { start, done }),
                expected,
                "{offsets:?} {start} {done}"
            );
        };
        check(0, 10, (0, 0), 10);
        check(0, 10, (4, 0), 6);
        check(0, 10, (4, 2), 4);
        check(0, 10, (10, 0), 0);
        // What was deleted meanwhile is not there any more.
        check(7, 10, (4, 0), 3);
        check(10, 10, (4, 3), 0);
    }
}

//! DescribeLogDirs: how many bytes each partition has. There is one folder.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::ahead;
use crate::caller::Caller;

pub(super) type Request = DescribeLogDirsRequest;

/// From this version on the answer says whether a folder takes no new partitions (KIP-1066): a later field. This one always does.
const VERSION_CORDONED: i16 = 5;
const IS_CORDONED: i32 = 5;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DescribeLogDirsResponse {
    let log = &caller.broker.log;
    // Each once, however often it is asked for: looking at one takes as long as its newest batches are many.
    let mut wanted: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    match request.topics {
        None => {
            for info in log.streams() {
                wanted.insert(info.name, (0..info.partitions).collect());
            }
        }
        Some(topics) => {
            for topic in topics {
                let partitions = wanted.entry(topic.topic.to_string()).or_default();
                partitions.extend(
                    topic
                        .partitions
                        .into_iter()
                        .filter_map(|index| u32::try_from(index).ok()),
                );
            }
        }
    }
    let mut topics: Vec<DescribeLogDirsTopic> = Vec::with_capacity(wanted.len());
    for (name, partitions) in wanted {
        // What is not there has no bytes, which is no error.
        let described = partitions.into_iter().filter_map(|index| {
            let bytes = log.partition_bytes(&name, index)?;
            let partition = DescribeLogDirsPartition::default()
                .with_partition_index(index.cast_signed())
                .with_partition_size(bytes as i64);
            Some(partition)
        });
        let described: Vec<DescribeLogDirsPartition> = described.collect();
        if !described.is_empty() {
            let topic = DescribeLogDirsTopic::default()
                .with_name(TopicName(StrBytes::from_string(name)))
                .with_partitions(described);
            topics.push(topic);
        }
    }
    let mut result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(folder(caller)))
        .with_topics(topics);
    if version >= VERSION_CORDONED {
        ahead::put(&mut result.unknown_tagged_fields, IS_CORDONED, vec![0]);
    }
    DescribeLogDirsResponse::default().with_results(vec![result])
}

/// The one folder there is, as clients are told of it.
pub(super) fn folder(caller: &Caller) -> String {
    let dir = caller.broker.log.dir();
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.display().to_string()
}

//! AlterReplicaLogDirs: there is one folder, and everything lies in it already.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

use super::describe_log_dirs;
use crate::caller::Caller;

pub(super) type Request = AlterReplicaLogDirsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> AlterReplicaLogDirsResponse {
    let folder = describe_log_dirs::folder(caller);
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for dir in request.dirs {
        let is_here = dir.path.as_str() == folder;
        for topic in dir.topics {
            let there = caller.broker.log.stream(&topic.name).map_or(0, |info| info.partitions);
            let result = |partition: i32| {
                let is_there = u32::try_from(partition).is_ok_and(|partition| partition < there);
                let code = match (is_there, is_here) {
                    (false, _) => ResponseError::UnknownTopicOrPartition.code(),
                    (true, false) => ResponseError::LogDirNotFound.code(),
                    (true, true) => 0,
                };
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(partition)
                    .with_error_code(code)
            };
            results.push(
                AlterReplicaLogDirTopicResult::default()
                    .with_partitions(topic.partitions.into_iter().map(result).collect())
                    .with_topic_name(topic.name),
            );
        }
    }
    AlterReplicaLogDirsResponse::default().with_results(results)
}

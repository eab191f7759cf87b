//! ElectLeaders: the one broker leads everything already, so that no election is ever needed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = ElectLeadersRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ElectLeadersResponse {
    // Asked about all partitions, a broker lists only those where something happened.
    let topics = request.topic_partitions.unwrap_or_default();
    let mut results: Vec<ReplicaElectionResult> = Vec::with_capacity(topics.len());
    for topic in topics {
        let partitions = caller.broker.log.stream(&topic.topic).map_or(0, |info| info.partitions);
        let result = |partition: i32| {
            let is_there = u32::try_from(partition).is_ok_and(|partition| partition < partitions);
            let (code, why) = match is_there {
                true => (ResponseError::ElectionNotNeeded, "the one broker leads it already"),
                false => (ResponseError::UnknownTopicOrPartition, "there is no such partition"),
            };
            PartitionResult::default()
                .with_partition_id(partition)
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_static_str(why)))
        };
        results.push(
            ReplicaElectionResult::default()
                .with_partition_result(topic.partitions.into_iter().map(result).collect())
                .with_topic(topic.topic),
        );
    }
    ElectLeadersResponse::default().with_replica_election_results(results)
}

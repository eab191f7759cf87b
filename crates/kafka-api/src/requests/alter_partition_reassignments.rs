//! AlterPartitionReassignments: every partition lies on the one broker, and can be put there again or nowhere else.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = AlterPartitionReassignmentsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> AlterPartitionReassignmentsResponse {
    let mut responses: Vec<ReassignableTopicResponse> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let there = caller.broker.log.stream(&topic.name).map_or(0, |info| info.partitions);
        let partitions = topic.partitions.iter().map(|asked| reassign(caller, asked, there));
        responses.push(
            ReassignableTopicResponse::default()
                .with_partitions(partitions.collect())
                .with_name(topic.name),
        );
    }
    AlterPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_responses(responses)
}

fn reassign(caller: &Caller, asked: &ReassignablePartition, there: u32) -> ReassignablePartitionResponse {
    let response = ReassignablePartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_error_message(None);
    let is_there = u32::try_from(asked.partition_index).is_ok_and(|index| index < there);
    let (code, why) = match &asked.replicas {
        _ if !is_there => (ResponseError::UnknownTopicOrPartition, "there is no such partition"),
        None => (ResponseError::NoReassignmentInProgress, "no partition is being moved"),
        Some(replicas) if *replicas == [caller.broker.node_id()] => return response,
        Some(_) => (
            ResponseError::InvalidReplicaAssignment,
            "there is one broker: a partition can lie on it alone",
        ),
    };
    response
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(why)))
}

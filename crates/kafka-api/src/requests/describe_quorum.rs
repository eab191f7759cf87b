//! DescribeQuorum: the catalog's stream stands for Kafka's metadata log, and the one broker is its only voter.

use headwater_catalog::CATALOG_STREAM;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;

pub(super) type Request = DescribeQuorumRequest;

const METADATA_TOPIC: &str = "__cluster_metadata";

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DescribeQuorumResponse {
    let mut topics: Vec<TopicData> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions: Vec<PartitionData> = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(match (topic.topic_name.as_str(), asked.partition_index) {
                (METADATA_TOPIC, 0) => describe(caller),
                (_, index) => PartitionData::default()
                    .with_partition_index(index)
                    .with_error_message(None)
                    .with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            });
        }
        topics.push(
            TopicData::default()
                .with_topic_name(topic.topic_name)
                .with_partitions(partitions),
        );
    }
    let response = DescribeQuorumResponse::default()
        .with_error_message(None)
        .with_topics(topics);
    if version < 2 {
        return response;
    }
    let (host, port) = caller.broker.advertised(caller.local);
    let listener = Listener::default()
        .with_name(StrBytes::from_static_str("PLAINTEXT"))
        .with_host(host)
        .with_port(u16::try_from(port).unwrap_or_default());
    let node = Node::default()
        .with_node_id(caller.broker.node_id())
        .with_listeners(vec![listener]);
    response.with_nodes(vec![node])
}

fn describe(caller: &Caller) -> PartitionData {
    let broker = &caller.broker;
    let offsets = broker.log.offsets(CATALOG_STREAM, 0).unwrap_or_default();
    let now_ms = broker.log.now_us() / 1_000;
    let voter = ReplicaState::default()
        .with_replica_id(broker.node_id())
        .with_replica_directory_id(Uuid::nil())
        .with_log_end_offset(offsets.end as i64)
        .with_last_fetch_timestamp(now_ms)
        .with_last_caught_up_timestamp(now_ms);
    PartitionData::default()
        .with_partition_index(0)
        .with_error_message(None)
        .with_leader_id(broker.node_id())
        .with_leader_epoch(LEADER_EPOCH)
        .with_high_watermark(offsets.high_watermark as i64)
        .with_current_voters(vec![voter])
}

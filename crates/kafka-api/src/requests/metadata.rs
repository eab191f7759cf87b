//! Metadata: the broker, the topics and their partitions. Asking for a topic creates it where that is allowed.

use headwater_catalog::{CatalogError, CreateMode};
use headwater_eventlog::StreamInfo;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::create_topics::KAFKAS_OWN;
use crate::broker::{Inner, catalog_refusal};
use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;
use crate::operations;
use crate::own_streams::is_internal;

pub(super) type Request = MetadataRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> MetadataResponse {
    let broker = &caller.broker;
    // Before version 1 an empty list meant every topic.
    let all = request.topics.is_none() || (version == 0 && request.topics.as_ref().is_some_and(Vec::is_empty));
    let mut topics: Vec<MetadataResponseTopic> = if all {
        broker.log.streams().iter().map(|info| describe(broker, info)).collect()
    } else {
        let may_create = (version < 4 || request.allow_auto_topic_creation) && broker.options.auto_create;
        let mut topics: Vec<MetadataResponseTopic> = Vec::new();
        for topic in request.topics.unwrap_or_default() {
            topics.push(find(caller, topic, may_create).await);
        }
        topics
    };
    if request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code == 0) {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            topic.topic_authorized_operations = operations::of_topic(name);
        }
    }
    let cluster_operations = match request.include_cluster_authorized_operations {
        true => operations::CLUSTER,
        false => operations::NOT_ASKED,
    };
    let (host, port) = broker.advertised(caller.local);
    MetadataResponse::default()
        .with_cluster_authorized_operations(cluster_operations)
        .with_brokers(vec![
            MetadataResponseBroker::default()
                .with_node_id(broker.node_id())
                .with_host(host)
                .with_port(port),
        ])
        .with_cluster_id(Some(StrBytes::from_string(broker.cluster_id.clone())))
        .with_controller_id(broker.node_id())
        .with_topics(topics)
}

async fn find(caller: &Caller, topic: MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let broker = &caller.broker;
    // Java's client sends an empty name beside an id.
    let Some(name) = topic.name.filter(|_| topic.topic_id.is_nil()) else {
        return match broker.topic_by_id(topic.topic_id) {
            Some(info) => describe(broker, &info),
            None => refuse(None, ResponseError::UnknownTopicId).with_topic_id(topic.topic_id),
        };
    };
    if let Some(info) = broker.log.stream(&name) {
        return describe(broker, &info);
    }
    if let Err(error) = headwater_catalog::check_name(&name) {
        let (code, _) = catalog_refusal(&error);
        // One of ours that is not there is unknown, not misspelt.
        let code = if is_internal(&name) {
            ResponseError::UnknownTopicOrPartition
        } else {
            code
        };
        return refuse(Some(name), code);
    }
    if !may_create || name.as_str() == KAFKAS_OWN {
        return refuse(Some(name), ResponseError::UnknownTopicOrPartition);
    }
    let partitions = broker.options.default_partitions;
    let created = broker
        .create_topic(
            &name,
            partitions,
            broker.options.topic_defaults.clone(),
            CreateMode::IfNotExists,
            &caller.principal,
        )
        .await;
    match (created, broker.log.stream(&name)) {
        (Ok(()), Some(info)) => {
            tracing::info!(topic = %name.as_str(), partitions, "topic created because a client asked for it");
            describe(broker, &info)
        }
        (Ok(()), None) => refuse(Some(name), ResponseError::LeaderNotAvailable),
        (Err(error), _) => {
            if !matches!(error, CatalogError::Exists { .. }) {
                tracing::warn!(topic = %name.as_str(), "topic not created: {error}");
            }
            let (code, _) = catalog_refusal(&error);
            refuse(Some(name), code)
        }
    }
}

fn refuse(name: Option<TopicName>, code: ResponseError) -> MetadataResponseTopic {
    // Up to version 11 the name may not be missing.
    let name = name.unwrap_or_default();
    MetadataResponseTopic::default()
        .with_name(Some(name))
        .with_error_code(code.code())
        .with_topic_authorized_operations(operations::NOT_ASKED)
}

fn describe(broker: &Inner, info: &StreamInfo) -> MetadataResponseTopic {
    let node = broker.node_id();
    let partition = |index: u32| {
        MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(node)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![node])
            .with_isr_nodes(vec![node])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(info.name.clone()))))
        .with_topic_id(Uuid::from_u128(info.id))
        .with_is_internal(is_internal(&info.name))
        .with_partitions((0..info.partitions).map(partition).collect())
        .with_topic_authorized_operations(operations::NOT_ASKED)
}

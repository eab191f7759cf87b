//! CreateTopics: schema-free streams through the catalog.

use std::collections::HashMap;

use headwater_catalog::{CatalogError, CreateMode};
use headwater_eventlog::StreamSettings;
use headwater_records::limits::PARTITIONS_MAX;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, CreateTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::configs::{DEFAULT, DYNAMIC_TOPIC, STATIC_BROKER};
use super::describe_configs;
use crate::broker::catalog_refusal;
use crate::caller::Caller;
use crate::topic_configs;

pub(super) type Request = CreateTopicsRequest;

/// A topic that only Kafka's brokers write: tools take it for that.
pub(super) const KAFKAS_OWN: &str = "__cluster_metadata";

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> CreateTopicsResponse {
    let mut times: HashMap<&str, u32> = HashMap::new();
    for topic in &request.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut results: Vec<CreatableTopicResult> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let created = if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            let why = "the topic is named twice in one request".to_owned();
            Err((ResponseError::InvalidRequest, StrBytes::from_string(why)))
        } else {
            create(caller, topic, request.validate_only).await
        };
        results.push(respond(caller, topic, created));
    }
    CreateTopicsResponse::default().with_topics(results)
}

type Refusal = (ResponseError, StrBytes);

/// Checks a topic and, where that is asked for, creates it; its number of partitions.
async fn create(caller: &Caller, topic: &CreatableTopic, validate_only: bool) -> Result<u32, Refusal> {
    let settings = settings(caller, topic)?;
    let partitions = check(caller, topic)?;
    if topic.name.as_str() == KAFKAS_OWN {
        let why = format!("'{KAFKAS_OWN}' is the name of Kafka's own log of its metadata: choose another one");
        return Err((ResponseError::InvalidRequest, StrBytes::from_string(why)));
    }
    headwater_catalog::check_name(&topic.name).map_err(|error| catalog_refusal(&error))?;
    if validate_only {
        if let Some(definition) = caller.broker.catalog.get(&topic.name) {
            let (noun, name) = (definition.noun(), topic.name.to_string());
            return Err(catalog_refusal(&CatalogError::Exists { noun, name }));
        }
        return Ok(partitions);
    }
    let created = caller
        .broker
        .create_topic(&topic.name, partitions, settings, CreateMode::Create, &caller.principal)
        .await;
    created.map_err(|error| catalog_refusal(&error))?;
    tracing::info!(topic = %topic.name.as_str(), partitions, "topic created");
    Ok(partitions)
}

/// What the configurations that are asked for, and those that the broker was started with, set of the stream.
fn settings(caller: &Caller, topic: &CreatableTopic) -> Result<StreamSettings, Refusal> {
    let refuse = |why: String| (ResponseError::InvalidConfig, StrBytes::from_string(why));
    let mut settings = caller.broker.options.topic_defaults.clone();
    for config in &topic.configs {
        let name = config.name.as_str();
        let value = config.value.as_ref().map(|value| value.as_str());
        let value = value.ok_or_else(|| refuse(format!("Null value not supported for topic configs: {name}")))?;
        topic_configs::set(&mut settings, name, Some(value)).map_err(refuse)?;
    }
    let checked = caller.broker.log.check_settings(&settings);
    checked.map_err(|error| refuse(topic_configs::in_kafkas_words(&error.to_string())))?;
    Ok(settings)
}

fn check(caller: &Caller, topic: &CreatableTopic) -> Result<u32, Refusal> {
    let refuse = |code: ResponseError, why: String| Err((code, StrBytes::from_string(why)));
    if !topic.assignments.is_empty() {
        return assigned(caller, topic);
    }
    let any_factor = caller.broker.options.any_replication_factor && topic.replication_factor > 1;
    if !any_factor && topic.replication_factor != -1 && topic.replication_factor != 1 {
        let why = format!(
            "the replication factor {} cannot be kept: there is one broker; ask for 1 or -1 (the default), or start it with \
             accept.any.replication.factor=true to have 1 whatever is asked for",
            topic.replication_factor
        );
        return refuse(ResponseError::InvalidReplicationFactor, why);
    }
    match topic.num_partitions {
        -1 => Ok(caller.broker.options.default_partitions),
        partitions if partitions >= 1 && partitions.cast_unsigned() <= PARTITIONS_MAX => Ok(partitions.cast_unsigned()),
        partitions => refuse(
            ResponseError::InvalidPartitions,
            format!("{partitions} partitions cannot be had: ask for 1 to {PARTITIONS_MAX}, or -1 for the default"),
        ),
    }
}

/// The number of partitions that are assigned: from 0 on, each to the one broker alone.
fn assigned(caller: &Caller, topic: &CreatableTopic) -> Result<u32, Refusal> {
    let refuse = |code: ResponseError, why: String| Err((code, StrBytes::from_string(why)));
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let why = "partitions are assigned one by one, and a number of them or a replication factor is named too: say -1 for both";
        return refuse(ResponseError::InvalidRequest, why.to_owned());
    }
    let count = topic.assignments.len() as u32;
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|one| one.partition_index).collect();
    indexes.sort_unstable();
    if indexes.iter().zip(0..).any(|(index, expected)| *index != expected) {
        let why = format!("the {count} partitions that are assigned are not numbered from 0 on, each once");
        return refuse(ResponseError::InvalidReplicaAssignment, why);
    }
    let node = caller.broker.node_id();
    let any_factor = caller.broker.options.any_replication_factor;
    let fits = |brokers: &[BrokerId]| brokers == [node] || (any_factor && brokers.contains(&node));
    if !topic.assignments.iter().all(|one| fits(&one.broker_ids)) {
        let why = format!(
            "there is one broker, number {}: assign every partition to it alone",
            node.0
        );
        return refuse(ResponseError::InvalidReplicaAssignment, why);
    }
    match count <= PARTITIONS_MAX {
        true => Ok(count),
        false => refuse(
            ResponseError::InvalidPartitions,
            format!("{count} partitions cannot be had: ask for 1 to {PARTITIONS_MAX}"),
        ),
    }
}

fn respond(caller: &Caller, topic: &CreatableTopic, created: Result<u32, Refusal>) -> CreatableTopicResult {
    let result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_message(None);
    match created {
        Ok(partitions) => {
            let id = caller.broker.log.stream(&topic.name).map_or(0, |info| info.id);
            result
                .with_topic_id(Uuid::from_u128(id))
                .with_num_partitions(partitions.cast_signed())
                .with_replication_factor(1)
                .with_configs(Some(configs(caller, &topic.name)))
        }
        Err((code, why)) => result
            .with_error_code(code.code())
            .with_error_message(Some(why))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(Some(Vec::new())),
    }
}

fn configs(caller: &Caller, name: &str) -> Vec<CreatableTopicConfigs> {
    let config = |valued: topic_configs::Valued| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(valued.config.name))
            .with_value(Some(StrBytes::from_string(valued.value)))
            .with_config_source(match (valued.is_set, valued.is_started) {
                (true, _) => DYNAMIC_TOPIC,
                (false, true) => STATIC_BROKER,
                (false, false) => DEFAULT,
            })
    };
    describe_configs::of_topic(caller, name)
        .into_iter()
        .map(config)
        .collect()
}

//! CreatePartitions: gives topics more partitions. Views and questions see them with the next event.

use std::collections::HashMap;

use headwater_records::limits::PARTITIONS_MAX;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::broker::catalog_refusal;
use crate::caller::Caller;
use crate::own_streams::is_internal;

pub(super) type Request = CreatePartitionsRequest;

type Refusal = (ResponseError, StrBytes);

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> CreatePartitionsResponse {
    let mut times: HashMap<&str, u32> = HashMap::new();
    for topic in &request.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let added = if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            refuse(
                ResponseError::InvalidRequest,
                "the topic is named twice in one request".to_owned(),
            )
        } else {
            add(caller, topic, request.validate_only).await
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        results.push(match added {
            Ok(()) => result,
            Err((code, why)) => result.with_error_code(code.code()).with_error_message(Some(why)),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn add(caller: &Caller, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let name = topic.name.as_str();
    if is_internal(name) {
        let why = format!("'{name}' is kept by the program itself: it keeps its partitions");
        return refuse(ResponseError::TopicAuthorizationFailed, why);
    }
    let Some(info) = caller.broker.log.stream(name) else {
        let why = format!("there is no topic '{name}'");
        return refuse(ResponseError::UnknownTopicOrPartition, why);
    };
    let there = info.partitions;
    let wanted = u32::try_from(topic.count)
        .ok()
        .filter(|wanted| (there + 1..=PARTITIONS_MAX).contains(wanted));
    let Some(wanted) = wanted else {
        let why = not_more(name, there, topic.count);
        return refuse(ResponseError::InvalidPartitions, why);
    };
    if let Some(assignments) = &topic.assignments {
        let node = caller.broker.node_id();
        if assignments.len() != (wanted - there) as usize {
            let why = format!(
                "{} new partitions are asked for and {} are assigned: assign each, or none",
                wanted - there,
                assignments.len()
            );
            return refuse(ResponseError::InvalidReplicaAssignment, why);
        }
        if assignments.iter().any(|assignment| assignment.broker_ids != [node]) {
            let why = format!(
                "there is one broker, number {}: assign every partition to it alone",
                node.0
            );
            return refuse(ResponseError::InvalidReplicaAssignment, why);
        }
    }
    if validate_only {
        return Ok(());
    }
    let added = caller
        .broker
        .catalog
        .add_partitions(name, wanted, &caller.principal)
        .await;
    added.map_err(|error| catalog_refusal(&error))?;
    tracing::info!(topic = name, partitions = wanted, "partitions added");
    Ok(())
}

/// Why a topic cannot get so many partitions: in Kafka's words where it has some, because scripts look for them.
fn not_more(name: &str, there: u32, wanted: i32) -> String {
    match i64::from(wanted) - i64::from(there) {
        0 => format!("Topic already has {there} partition(s)."),
        ..0 => format!("The topic {name} currently has {there} partition(s); {wanted} would not be an increase."),
        1.. => format!(
            "the topic {name} has {there} partition(s) and can have up to {PARTITIONS_MAX}, {wanted} are too many"
        ),
    }
}

fn refuse(code: ResponseError, why: String) -> Result<(), Refusal> {
    Err((code, StrBytes::from_string(why)))
}

//! DeleteTopics: drops streams through the catalog, which keeps those that a view or command needs.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::broker::catalog_refusal;
use crate::caller::Caller;
use crate::own_streams::is_internal;

pub(super) type Request = DeleteTopicsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DeleteTopicsResponse {
    let mut responses: Vec<DeletableTopicResult> = Vec::new();
    for name in request.topic_names {
        responses.push(delete(caller, name).await);
    }
    for topic in request.topics {
        let response = match topic.name {
            Some(name) if !topic.topic_id.is_nil() => DeletableTopicResult::default()
                .with_name(Some(name))
                .with_topic_id(topic.topic_id)
                .with_error_code(ResponseError::InvalidRequest.code())
                .with_error_message(Some(StrBytes::from_static_str(
                    "a topic is named and an id given too: say one of them",
                ))),
            Some(name) => delete(caller, name).await,
            None => delete_by_id(caller, topic.topic_id).await,
        };
        responses.push(response);
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn delete_by_id(caller: &Caller, id: Uuid) -> DeletableTopicResult {
    match caller.broker.topic_by_id(id) {
        Some(info) => delete(caller, TopicName(StrBytes::from_string(info.name))).await,
        None => DeletableTopicResult::default()
            .with_topic_id(id)
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_error_message(Some(StrBytes::from_static_str("there is no topic with this id"))),
    }
}

async fn delete(caller: &Caller, name: TopicName) -> DeletableTopicResult {
    let broker = &caller.broker;
    let id = broker.log.stream(&name).map_or(0, |info| info.id);
    let result = DeletableTopicResult::default()
        .with_name(Some(name.clone()))
        .with_topic_id(Uuid::from_u128(id));
    if is_internal(&name) {
        let why = format!(
            "'{}' is kept by the program itself and cannot be deleted",
            name.as_str()
        );
        return result
            .with_error_code(ResponseError::TopicAuthorizationFailed.code())
            .with_error_message(Some(StrBytes::from_string(why)));
    }
    match broker.catalog.drop("stream", &name, &caller.principal).await {
        Ok(()) => {
            tracing::info!(topic = %name.as_str(), "topic deleted");
            result
        }
        Err(error) => {
            let (code, why) = catalog_refusal(&error);
            result.with_error_code(code.code()).with_error_message(Some(why))
        }
    }
}

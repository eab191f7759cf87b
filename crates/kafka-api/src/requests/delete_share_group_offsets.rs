//! DeleteShareGroupOffsets (KIP-932): forgets what a share group without members was given of some topics.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use kafka_protocol::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
use uuid::Uuid;

use crate::caller::Caller;

pub(super) type Request = DeleteShareGroupOffsetsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DeleteShareGroupOffsetsResponse {
    let broker = &caller.broker;
    let group_id = request.group_id;
    if let Err(code) = broker.groups.check_share_is_empty(&group_id) {
        return DeleteShareGroupOffsetsResponse::default().with_error_code(code.code());
    }
    let mut responses: Vec<DeleteShareGroupOffsetsResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let info = broker.log.stream(&topic.topic_name);
        let forgotten = match &info {
            Some(info) => {
                let forgotten = broker.shares.forget(&group_id, |place| place.0 == info.id).await;
                forgotten.map(|_| ())
            }
            None => Err(ResponseError::UnknownTopicOrPartition),
        };
        responses.push(
            DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name)
                .with_topic_id(info.as_ref().map_or(Uuid::nil(), |info| Uuid::from_u128(info.id)))
                .with_error_code(forgotten.map_or_else(|code| code.code(), |()| 0)),
        );
    }
    DeleteShareGroupOffsetsResponse::default().with_responses(responses)
}

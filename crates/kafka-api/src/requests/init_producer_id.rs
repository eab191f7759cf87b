//! InitProducerId: an id for an idempotent producer. Each asker gets a new one.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::connection::Caller;

pub(super) type Request = InitProducerIdRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> InitProducerIdResponse {
    let refuse = |code: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        tracing::warn!(peer = %caller.peer, "a client asked for transactions, which are not offered here: produce without a transactional.id");
        return refuse(ResponseError::TransactionalIdAuthorizationFailed);
    }
    let log = caller.broker.log.clone();
    let id = tokio::task::spawn_blocking(move || log.new_producer_id()).await;
    match id {
        Ok(Ok(id)) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Ok(Err(error)) => {
            tracing::error!("no producer id: {error}");
            refuse(ResponseError::KafkaStorageError)
        }
        Err(_) => refuse(ResponseError::KafkaStorageError),
    }
}

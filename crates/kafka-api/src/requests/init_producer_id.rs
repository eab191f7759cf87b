//! InitProducerId: an id and an epoch for a producer. An idempotent one gets a new id each time; a transactional one takes its
//! transactional id over from whoever had it, whose open transaction is aborted.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::caller::Caller;
use crate::limits::TRANSACTIONAL_ID_BYTES_MAX;
use crate::transactions::{Identity, Init};

pub(super) type Request = InitProducerIdRequest;

/// From this version on clients know that they were fenced.
const VERSION_FENCED: i16 = 4;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> InitProducerIdResponse {
    let identity = match &request.transactional_id {
        None => new_id(caller).await,
        Some(id) => take_over(caller, id, &request).await,
    };
    match identity {
        Ok((producer_id, epoch)) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(producer_id))
            .with_producer_epoch(epoch),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(producer_fenced(code, version >= VERSION_FENCED).code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn new_id(caller: &Caller) -> Result<Identity, ResponseError> {
    let log = caller.broker.log.clone();
    let id = tokio::task::spawn_blocking(move || log.new_producer_id()).await;
    match id {
        Ok(Ok(id)) => Ok((id, 0)),
        Ok(Err(error)) => {
            tracing::error!("no producer id: {error}");
            Err(ResponseError::KafkaStorageError)
        }
        Err(_) => Err(ResponseError::KafkaStorageError),
    }
}

async fn take_over(caller: &Caller, id: &str, request: &Request) -> Result<Identity, ResponseError> {
    if id.is_empty() || id.len() > TRANSACTIONAL_ID_BYTES_MAX {
        return Err(ResponseError::InvalidRequest);
    }
    let broker = &caller.broker;
    let timeout_max_ms = broker.options.transaction_timeout_max.as_millis();
    let in_bounds = u128::try_from(request.transaction_timeout_ms).is_ok_and(|ms| ms > 0 && ms <= timeout_max_ms);
    if !in_bounds {
        return Err(ResponseError::InvalidTransactionTimeout);
    }
    let given = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (producer_id, epoch) if producer_id >= 0 && epoch >= 0 => Some((producer_id, epoch)),
        _ => return Err(ResponseError::InvalidRequest),
    };
    let init = Init {
        given,
        timeout_ms: request.transaction_timeout_ms,
    };
    let offsets = &broker.groups.offsets;
    broker.transactions.init(offsets, id, init, &caller.principal).await
}

/// A producer that was fenced, as clients of this version know it: older ones know only that their epoch is not valid.
pub(super) fn producer_fenced(code: ResponseError, knows: bool) -> ResponseError {
    match code {
        ResponseError::ProducerFenced if !knows => ResponseError::InvalidProducerEpoch,
        code => code,
    }
}

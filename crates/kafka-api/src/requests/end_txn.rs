//! EndTxn: a producer commits or aborts its transaction: everything of it counts from one moment on, or nothing ever.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::init_producer_id::producer_fenced;
use crate::caller::Caller;
use crate::transactions::Identity;

pub(super) type Request = EndTxnRequest;

/// From this version on clients know that they were fenced.
const VERSION_FENCED: i16 = 2;

/// From this version on the producer gets a new epoch with every end (KIP-890).
const VERSION_NEW_EPOCH: i16 = 5;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> EndTxnResponse {
    match end(caller, &request, version >= VERSION_NEW_EPOCH).await {
        Ok((producer_id, epoch)) => EndTxnResponse::default()
            .with_producer_id(ProducerId(producer_id))
            .with_producer_epoch(epoch),
        Err(code) => EndTxnResponse::default()
            .with_error_code(producer_fenced(code, version >= VERSION_FENCED).code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn end(caller: &Caller, request: &Request, new_epoch: bool) -> Result<Identity, ResponseError> {
    if request.transactional_id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    let who = (request.producer_id.0, request.producer_epoch);
    let (broker, id) = (&caller.broker, &request.transactional_id);
    let offsets = &broker.groups.offsets;
    let transactions = &broker.transactions;
    transactions
        .end(offsets, id, who, request.committed, new_epoch, &caller.principal)
        .await
}

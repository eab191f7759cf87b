//! AddOffsetsToTxn: a group whose offsets a producer is going to commit with its transaction.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::init_producer_id::producer_fenced;
use crate::caller::Caller;
use crate::transactions::Added;

pub(super) type Request = AddOffsetsToTxnRequest;

/// From this version on clients know that they were fenced.
const VERSION_FENCED: i16 = 2;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> AddOffsetsToTxnResponse {
    let added = add(caller, &request).await;
    let code = added.map_or_else(|code| producer_fenced(code, version >= VERSION_FENCED).code(), |()| 0);
    AddOffsetsToTxnResponse::default().with_error_code(code)
}

async fn add(caller: &Caller, request: &Request) -> Result<(), ResponseError> {
    if request.transactional_id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    crate::groups::check_group_id(&request.group_id)?;
    let added = Added {
        group: Some(request.group_id.to_string()),
        ..Added::default()
    };
    let who = (request.producer_id.0, request.producer_epoch);
    let (broker, id) = (&caller.broker, &request.transactional_id);
    let offsets = &broker.groups.offsets;
    broker
        .transactions
        .add(offsets, id, who, &added, &caller.principal)
        .await
}

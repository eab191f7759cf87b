//! DeleteGroups: forgets groups without members, and how far they had got.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::connection::Caller;

pub(super) type Request = DeleteGroupsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DeleteGroupsResponse {
    let mut results: Vec<DeletableGroupResult> = Vec::with_capacity(request.groups_names.len());
    for id in request.groups_names {
        let deleted = match id.is_empty() {
            true => Err(ResponseError::InvalidGroupId),
            false => delete(caller, &id).await,
        };
        results.push(
            DeletableGroupResult::default()
                .with_group_id(id)
                .with_error_code(deleted.map_or_else(|code| code.code(), |()| 0)),
        );
    }
    DeleteGroupsResponse::default().with_results(results)
}

async fn delete(caller: &Caller, group_id: &str) -> Result<(), ResponseError> {
    let broker = &caller.broker;
    // What a share group was given first: a share group that has nothing is whole, deliveries without a group are not.
    if broker.groups.check_share_is_empty(group_id).is_ok() {
        broker.shares.forget(group_id, |_| true).await?;
    }
    broker.groups.delete(group_id, &caller.principal).await
}

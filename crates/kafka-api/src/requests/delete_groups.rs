//! DeleteGroups: forgets the commits of groups without members.

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
            false => caller.broker.groups.delete(&id, &caller.principal).await,
        };
        results.push(
            DeletableGroupResult::default()
                .with_group_id(id)
                .with_error_code(deleted.map_or_else(|code| code.code(), |()| 0)),
        );
    }
    DeleteGroupsResponse::default().with_results(results)
}

//! DeleteGroups: forgets groups without members, and how far they had got.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::ahead;
use super::no_group::not_there;
use crate::caller::Caller;

pub(super) type Request = DeleteGroupsRequest;

/// From this version on the answer says why in words: a later field.
const VERSION_MESSAGE: i16 = 3;
const ERROR_MESSAGE: i32 = 2;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DeleteGroupsResponse {
    let mut results: Vec<DeletableGroupResult> = Vec::with_capacity(request.groups_names.len());
    for id in request.groups_names {
        let deleted = delete(caller, &id).await;
        let why = deleted.err().map(|code| why(code, &id));
        let mut result = DeletableGroupResult::default().with_group_id(id);
        if version >= VERSION_MESSAGE {
            let why = ahead::text(why.as_deref());
            ahead::put(&mut result.unknown_tagged_fields, ERROR_MESSAGE, why);
        }
        results.push(result.with_error_code(deleted.map_or_else(|code| code.code(), |()| 0)));
    }
    DeleteGroupsResponse::default().with_results(results)
}

/// Why a group was not deleted.
fn why(code: ResponseError, id: &str) -> StrBytes {
    match code {
        ResponseError::GroupIdNotFound => not_there(id),
        ResponseError::NonEmptyGroup => StrBytes::from_static_str("the group has members: stop them first"),
        _ => StrBytes::from_static_str("that the group is gone could not be written: the broker's log says why"),
    }
}

async fn delete(caller: &Caller, group_id: &str) -> Result<(), ResponseError> {
    let broker = &caller.broker;
    // What a share group was given first: a share group that has nothing is whole, deliveries without a group are not.
    if broker.groups.check_share_is_empty(group_id).is_ok() {
        broker.shares.forget(group_id, |_| true).await?;
    }
    broker.groups.delete(group_id, &caller.principal).await
}

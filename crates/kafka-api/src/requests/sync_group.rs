//! SyncGroup: the leader hands the assignments over, everybody gets his.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::groups::{Sync, check_group_id};
use crate::limits::GROUP_MEMBER_BYTES_MAX;

pub(super) type Request = SyncGroupRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> SyncGroupResponse {
    let group_id = request.group_id.clone();
    if let Err(code) = check_group_id(&group_id) {
        return refuse(code);
    }
    let bytes = request.assignments.iter().map(|assigned| assigned.assignment.len());
    if bytes.max().is_some_and(|bytes| bytes > GROUP_MEMBER_BYTES_MAX) {
        return refuse(ResponseError::UnknownServerError);
    }
    let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
    let sync = Sync {
        member_id: request.member_id.to_string(),
        instance: text(request.group_instance_id),
        generation: request.generation_id,
        protocol_type: text(request.protocol_type),
        protocol: text(request.protocol_name),
        assignments: request
            .assignments
            .into_iter()
            .map(|assigned| (assigned.member_id.to_string(), assigned.assignment))
            .collect(),
    };
    match caller.broker.groups.sync(&group_id, sync).await {
        Ok(synced) => {
            let response = SyncGroupResponse::default().with_assignment(synced.assignment);
            if version < 5 {
                return response;
            }
            response
                .with_protocol_type(Some(StrBytes::from_string(synced.protocol_type)))
                .with_protocol_name(Some(StrBytes::from_string(synced.protocol)))
        }
        Err(code) => refuse(code),
    }
}

fn refuse(code: ResponseError) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code.code())
}

//! Heartbeat: a member's sign of life; the answer tells it to join again where it has to.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::caller::Caller;
use crate::groups::check_group_id;

pub(super) type Request = HeartbeatRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> HeartbeatResponse {
    let beaten = check_group_id(&request.group_id).and_then(|()| {
        caller.broker.groups.heartbeat(
            &request.group_id,
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )
    });
    HeartbeatResponse::default().with_error_code(beaten.map_or_else(|code| code.code(), |()| 0))
}

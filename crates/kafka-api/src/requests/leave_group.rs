//! LeaveGroup: members go at once, so that the others need not wait for their sessions to run out.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::groups::{Leaving, Left, check_group_id};

pub(super) type Request = LeaveGroupRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> LeaveGroupResponse {
    if let Err(code) = check_group_id(&request.group_id) {
        return LeaveGroupResponse::default().with_error_code(code.code());
    }
    let leaving: Vec<Leaving> = if version < 3 {
        vec![Leaving {
            member_id: request.member_id.to_string(),
            instance: None,
        }]
    } else {
        let leaving = |member: kafka_protocol::messages::leave_group_request::MemberIdentity| Leaving {
            member_id: member.member_id.to_string(),
            instance: member.group_instance_id.map(|instance| instance.to_string()),
        };
        request.members.into_iter().map(leaving).collect()
    };
    let left = match caller.broker.groups.leave(&request.group_id, leaving.clone()).await {
        Ok(left) => left,
        Err(code) => leaving.into_iter().map(|leaver| (leaver, Err(code))).collect(),
    };
    let code = |left: &Result<(), ResponseError>| left.as_ref().map_or_else(|code| code.code(), |()| 0);
    if version < 3 {
        let code = left.first().map_or(0, |(_, left)| code(left));
        return LeaveGroupResponse::default().with_error_code(code);
    }
    let member = |(leaver, left): Left| {
        MemberResponse::default()
            .with_member_id(StrBytes::from_string(leaver.member_id))
            .with_group_instance_id(leaver.instance.map(StrBytes::from_string))
            .with_error_code(code(&left))
    };
    LeaveGroupResponse::default().with_members(left.into_iter().map(member).collect())
}

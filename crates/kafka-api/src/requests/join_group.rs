//! JoinGroup: answered when every member has joined or its time is over.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::caller::Caller;
use crate::groups::{Join, Joined, Protocol, Refused, check_group_id};
use crate::limits::GROUP_MEMBER_BYTES_MAX;

pub(super) type Request = JoinGroupRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> JoinGroupResponse {
    let member_id = request.member_id.to_string();
    let joined = match check(caller, &request) {
        Ok(()) => {
            let group_id = request.group_id.clone();
            caller
                .broker
                .groups
                .join(&group_id, read(caller, request, version))
                .await
        }
        Err(code) => Err(Refused { code, member_id }),
    };
    match joined {
        Ok(joined) => respond(joined, version),
        Err(refused) => JoinGroupResponse::default()
            .with_error_code(refused.code.code())
            .with_generation_id(-1)
            // Before version 7 the field may not be missing.
            .with_protocol_name((version < 7).then(StrBytes::new))
            .with_member_id(StrBytes::from_string(refused.member_id)),
    }
}

fn check(caller: &Caller, request: &Request) -> Result<(), ResponseError> {
    check_group_id(&request.group_id)?;
    let options = &caller.broker.options;
    let protocols = request.protocols.iter();
    let bytes: usize = protocols
        .map(|protocol| protocol.metadata.len() + protocol.name.len())
        .sum();
    let bytes = bytes + request.protocol_type.len() + request.group_instance_id.as_ref().map_or(0, |id| id.len());
    if bytes > GROUP_MEMBER_BYTES_MAX {
        tracing::warn!(peer = %caller.peer, "a member of group '{}' says {bytes} bytes of itself, more than {GROUP_MEMBER_BYTES_MAX}", request.group_id.as_str());
        return Err(ResponseError::InvalidRequest);
    }
    let session = Duration::from_millis(request.session_timeout_ms.max(0) as u64);
    if session < options.group_session_min || session > options.group_session_max {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    Ok(())
}

fn read(caller: &Caller, request: Request, version: i16) -> Join {
    let session_timeout_ms = request.session_timeout_ms.max(0) as u64;
    // Version 0 has one timeout for both.
    let rebalance_timeout_ms = if version >= 1 {
        (request.rebalance_timeout_ms.max(0) as u64).max(1)
    } else {
        session_timeout_ms
    };
    let protocol = |protocol: kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| Protocol {
        name: protocol.name.to_string(),
        metadata: protocol.metadata,
    };
    Join {
        member_id: request.member_id.to_string(),
        new_member_id: format!("{}-{}", caller.client_id, Uuid::new_v4()),
        id_first: version >= 4,
        knows_skip: version >= 9,
        instance: request.group_instance_id.map(|instance| instance.to_string()),
        client_id: caller.client_id.clone(),
        client_host: format!("/{}", caller.peer.ip()),
        session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(protocol).collect(),
    }
}

fn respond(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |(id, instance, metadata): (String, Option<String>, bytes::Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(StrBytes::from_string(id))
            .with_group_instance_id(instance.map(StrBytes::from_string))
            .with_metadata(metadata)
    };
    let mut response = JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(StrBytes::from_string(joined.protocol)))
        .with_leader(StrBytes::from_string(joined.leader))
        .with_member_id(StrBytes::from_string(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect());
    if version >= 7 {
        response = response.with_protocol_type(Some(StrBytes::from_string(joined.protocol_type)));
    }
    if version >= 9 {
        response = response.with_skip_assignment(joined.skip_assignment);
    }
    response
}

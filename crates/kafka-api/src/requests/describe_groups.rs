//! DescribeGroups: a group's state, and its members with what they said and got.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;

use super::no_group::{none_of_kind, not_there};
use crate::caller::Caller;
use crate::groups::{Group, Member, Seen, State};
use crate::operations::{NOT_ASKED, of_group};

pub(super) type Request = DescribeGroupsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DescribeGroupsResponse {
    let operations = of_group(request.include_authorized_operations);
    let mut groups: Vec<DescribedGroup> = Vec::with_capacity(request.groups.len());
    for id in request.groups {
        let known = caller.broker.groups.look(&id, |seen| match seen {
            Seen::Classic(group) => describe(group, operations),
            Seen::Consumer(_) | Seen::Share(_) => dead(version, none_of_kind(&id, "classic", true)),
        });
        let group = known.unwrap_or_else(|| dead(version, not_there(&id)));
        groups.push(group.with_group_id(GroupId(id.0)));
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

/// Up to version 5 a group that is not there is described as dead, later it is an error.
fn dead(version: i16, why: StrBytes) -> DescribedGroup {
    let group = DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str("Dead"))
        .with_authorized_operations(NOT_ASKED);
    if version < 6 {
        return group;
    }
    group
        .with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(why))
}

fn describe(group: &Group, operations: i32) -> DescribedGroup {
    let settled = matches!(group.state(), State::Stable);
    let member = |(id, member): (&str, &Member)| {
        let described = DescribedGroupMember::default()
            .with_member_id(StrBytes::from_string(id.to_owned()))
            .with_group_instance_id(member.instance.clone().map(StrBytes::from_string))
            .with_client_id(StrBytes::from_string(member.client_id.clone()))
            .with_client_host(StrBytes::from_string(member.client_host.clone()));
        if !settled {
            return described;
        }
        described
            .with_member_metadata(member.metadata(group.protocol()))
            .with_member_assignment(member.assignment.clone())
    };
    let protocol = if settled { group.protocol() } else { "" };
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state().name()))
        .with_protocol_type(StrBytes::from_string(group.protocol_type().to_owned()))
        .with_protocol_data(StrBytes::from_string(protocol.to_owned()))
        .with_members(group.members().map(member).collect())
        .with_authorized_operations(operations)
}

//! ListGroups: every group with members or commits.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = ListGroupsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ListGroupsResponse {
    let named = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let mut groups: Vec<ListedGroup> = Vec::new();
    for listed in caller.broker.groups.list() {
        if !named(&request.states_filter, listed.state) || !named(&request.types_filter, listed.kind) {
            continue;
        }
        groups.push(
            ListedGroup::default()
                .with_group_id(GroupId(StrBytes::from_string(listed.id)))
                .with_protocol_type(StrBytes::from_string(listed.protocol_type))
                .with_group_state(StrBytes::from_static_str(listed.state))
                .with_group_type(StrBytes::from_static_str(listed.kind)),
        );
    }
    ListGroupsResponse::default().with_groups(groups)
}

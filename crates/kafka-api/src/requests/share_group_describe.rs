//! ShareGroupDescribe (KIP-932): a share group's members and what they read.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_protocol::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::assigned;
use super::no_group::none_of_kind;
use crate::caller::Caller;
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;
use crate::groups::{Seen, share};
use crate::operations::{NOT_ASKED, of_group};

pub(super) type Request = ShareGroupDescribeRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ShareGroupDescribeResponse {
    let groups = &caller.broker.groups;
    let topics = groups.topics(true);
    let operations = of_group(request.include_authorized_operations);
    let mut described: Vec<DescribedGroup> = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        let seen = groups.look(&id, |seen| match seen {
            Seen::Share(group) => Some(describe(group, &topics, operations)),
            _ => None,
        });
        let is_there = seen.is_some();
        let group = seen.flatten().unwrap_or_else(|| {
            DescribedGroup::default()
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(none_of_kind(&id, "share", is_there)))
                .with_authorized_operations(NOT_ASKED)
        });
        described.push(group.with_group_id(id));
    }
    ShareGroupDescribeResponse::default().with_groups(described)
}

fn describe(group: &share::Group, topics: &Topics, operations: i32) -> DescribedGroup {
    let member = |(id, member): (&str, &share::Member)| {
        let name = |name: &String| TopicName(StrBytes::from_string(name.clone()));
        Member::default()
            .with_member_id(StrBytes::from_string(id.to_owned()))
            .with_rack_id(member.rack.clone().map(StrBytes::from_string))
            .with_member_epoch(member.epoch)
            .with_client_id(StrBytes::from_string(member.client_id.clone()))
            .with_client_host(StrBytes::from_string(member.client_host.clone()))
            .with_subscribed_topic_names(member.topics.iter().map(name).collect())
            .with_assignment(assignment(&member.assigned, topics))
    };
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state_name()))
        .with_group_epoch(group.epoch())
        .with_assignment_epoch(group.epoch())
        .with_assignor_name(StrBytes::from_static_str("simple"))
        .with_members(group.members().map(member).collect())
        .with_authorized_operations(operations)
}

fn assignment(partitions: &Partitions, topics: &Topics) -> Assignment {
    let of_topic = |(id, name, numbers)| {
        TopicPartitions::default()
            .with_topic_id(id)
            .with_topic_name(name)
            .with_partitions(numbers)
    };
    Assignment::default().with_topic_partitions(assigned::by_name(partitions, topics).map(of_topic).collect())
}

//! ConsumerGroupDescribe (KIP-848): a group's epochs, and its members with what they have and shall have.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::assigned;
use super::no_group::none_of_kind;
use crate::caller::Caller;
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;
use crate::groups::{Seen, consumer};
use crate::operations::{NOT_ASKED, of_group};

pub(super) type Request = ConsumerGroupDescribeRequest;

/// Which protocol a member speaks.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ConsumerGroupDescribeResponse {
    let groups = &caller.broker.groups;
    let topics = groups.topics(true);
    let operations = of_group(request.include_authorized_operations);
    let mut described: Vec<DescribedGroup> = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        let refuse = |code: ResponseError, why: StrBytes| {
            DescribedGroup::default()
                .with_error_code(code.code())
                .with_error_message(Some(why))
                .with_authorized_operations(NOT_ASKED)
        };
        let group = if id.is_empty() {
            let why = StrBytes::from_static_str("the group has no name");
            refuse(ResponseError::InvalidGroupId, why)
        } else {
            let seen = groups.look(&id, |seen| match seen {
                Seen::Consumer(group) => Some(describe(group, &topics, operations)),
                _ => None,
            });
            let is_there = seen.is_some();
            seen.flatten().unwrap_or_else(|| {
                let why = none_of_kind(&id, "consumer", is_there);
                refuse(ResponseError::GroupIdNotFound, why)
            })
        };
        described.push(group.with_group_id(id));
    }
    ConsumerGroupDescribeResponse::default().with_groups(described)
}

fn describe(group: &consumer::Group, topics: &Topics, operations: i32) -> DescribedGroup {
    let member = |(id, member): (&str, &consumer::Member)| {
        let text = |text: &Option<String>| text.clone().map(StrBytes::from_string);
        let name = |name: &String| TopicName(StrBytes::from_string(name.clone()));
        Member::default()
            .with_member_id(StrBytes::from_string(id.to_owned()))
            .with_instance_id(text(&member.instance))
            .with_rack_id(text(&member.rack))
            .with_member_epoch(member.epoch)
            .with_client_id(StrBytes::from_string(member.client_id.clone()))
            .with_client_host(StrBytes::from_string(member.client_host.clone()))
            .with_subscribed_topic_names(member.topics.iter().map(name).collect())
            // Clients take none for an answer that lacks something.
            .with_subscribed_topic_regex(text(&member.regex).or(Some(StrBytes::new())))
            .with_assignment(assignment(&member.held().collect(), topics))
            .with_target_assignment(assignment(&member.target, topics))
            .with_member_type(if group.is_classic(id) { CLASSIC } else { CONSUMER })
    };
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state_name()))
        .with_group_epoch(group.epoch())
        .with_assignment_epoch(group.assignment_epoch())
        .with_assignor_name(StrBytes::from_static_str(group.preferred_assignor().name()))
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

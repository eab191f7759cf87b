//! ConsumerGroupHeartbeat (KIP-848): a member says what it wants and has, and is told what it may read.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::assigned;
use crate::caller::Caller;
use crate::groups::check_group_id;
use crate::groups::consumer::{Heartbeat, JOIN, LEAVE, LEAVE_FOR_NOW, Refusal};
use crate::groups::partitions::Partitions;
use crate::limits::GROUP_MEMBER_BYTES_MAX;

pub(super) type Request = ConsumerGroupHeartbeatRequest;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> ConsumerGroupHeartbeatResponse {
    let group_id = request.group_id.clone();
    let beaten = match check(&request, version) {
        Ok(()) => caller.broker.groups.beat(&group_id, read(caller, request)).await,
        Err(refusal) => Err(refusal),
    };
    match beaten {
        Ok(beat) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(StrBytes::from_string(beat.member_id)))
            .with_member_epoch(beat.epoch)
            .with_heartbeat_interval_ms(beat.heartbeat_ms as i32)
            .with_assignment(beat.assignment.as_ref().map(assignment)),
        Err(refusal) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(refusal.code.code())
            .with_error_message(Some(StrBytes::from_string(refusal.message))),
    }
}

/// Whether the request has the form that its epoch asks for.
fn check(request: &Request, version: i16) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::new(ResponseError::InvalidRequest, what));
    if check_group_id(&request.group_id).is_err() {
        return refuse("the group has no name, or a longer one than is taken");
    }
    if bytes(request) > GROUP_MEMBER_BYTES_MAX {
        return refuse("the member's names, topics and pattern are longer together than is taken");
    }
    let is_empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    if is_empty(&request.instance_id) || is_empty(&request.rack_id) {
        return refuse("an instance or rack that is named must not be empty");
    }
    // In version 0 the coordinator gives the id to a member that joins.
    let may_be_new = version == 0 && request.member_epoch == JOIN;
    if request.member_id.is_empty() && !may_be_new {
        return refuse("the member has no id");
    }
    match request.member_epoch {
        JOIN => {
            if request.rebalance_timeout_ms < 0 {
                return refuse("who joins has to state its rebalance timeout");
            }
            if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return refuse("who joins must not have partitions");
            }
            // An empty list counts: a client that subscribes by a pattern of its own, or later, says so.
            if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
                return refuse("who joins has to state its topics or a pattern of their names");
            }
            Ok(())
        }
        LEAVE_FOR_NOW if request.instance_id.is_none() => refuse("only an instance leaves for now: name it"),
        LEAVE | LEAVE_FOR_NOW | 1.. => Ok(()),
        _ => refuse("there is no such member epoch"),
    }
}

/// What of the request is kept with the member.
fn bytes(request: &Request) -> usize {
    let texts = [&request.instance_id, &request.rack_id, &request.subscribed_topic_regex];
    let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
    let names = request.subscribed_topic_names.iter().flatten();
    request.member_id.len() + texts + names.map(|name| name.len()).sum::<usize>()
}

fn read(caller: &Caller, request: Request) -> Heartbeat {
    let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
    let member_id = match request.member_id.is_empty() {
        true => Uuid::new_v4().to_string(),
        false => request.member_id.to_string(),
    };
    let names = |names: Vec<kafka_protocol::messages::TopicName>| names.iter().map(|name| name.to_string()).collect();
    Heartbeat {
        member_id,
        epoch: request.member_epoch,
        instance: text(request.instance_id),
        rack: text(request.rack_id),
        rebalance_timeout_ms: u64::try_from(request.rebalance_timeout_ms).ok(),
        topics: request.subscribed_topic_names.map(names),
        regex: text(request.subscribed_topic_regex),
        assignor: text(request.server_assignor),
        owned: request.topic_partitions.map(|owned| {
            let of_topic = |topic: kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions| {
                let id = topic.topic_id.as_u128();
                let partitions = topic.partitions.into_iter();
                partitions.filter_map(move |partition| Some((id, u32::try_from(partition).ok()?)))
            };
            owned.into_iter().flat_map(of_topic).collect()
        }),
        client_id: caller.client_id.clone(),
        client_host: format!("/{}", caller.peer.ip()),
    }
}

fn assignment(partitions: &Partitions) -> Assignment {
    let of_topic = |(id, numbers)| TopicPartitions::default().with_topic_id(id).with_partitions(numbers);
    Assignment::default().with_topic_partitions(assigned::by_id(partitions).map(of_topic).collect())
}

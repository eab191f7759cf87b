//! ShareGroupHeartbeat (KIP-932): a member of a share group says what it wants, and is told which partitions to read.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use kafka_protocol::protocol::StrBytes;

use super::assigned;
use crate::caller::Caller;
use crate::groups::check_group_id;
use crate::groups::consumer::{JOIN, LEAVE, Refusal};
use crate::groups::partitions::Partitions;
use crate::groups::share::Heartbeat;
use crate::limits::GROUP_MEMBER_BYTES_MAX;

pub(super) type Request = ShareGroupHeartbeatRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ShareGroupHeartbeatResponse {
    let broker = &caller.broker;
    let owner = (request.group_id.to_string(), request.member_id.to_string());
    let beaten = match check(&request) {
        Ok(()) => broker.groups.share_beat(&owner.0, read(caller, request)).await,
        Err(refusal) => Err(refusal),
    };
    match beaten {
        Ok(beat) => {
            if beat.epoch == LEAVE {
                broker.shares.leave(&owner);
            }
            ShareGroupHeartbeatResponse::default()
                .with_member_id(Some(StrBytes::from_string(beat.member_id)))
                .with_member_epoch(beat.epoch)
                .with_heartbeat_interval_ms(beat.heartbeat_ms as i32)
                .with_assignment(beat.assignment.as_ref().map(assignment))
        }
        Err(refusal) => ShareGroupHeartbeatResponse::default()
            .with_error_code(refusal.code.code())
            .with_error_message(Some(StrBytes::from_string(refusal.message))),
    }
}

/// Whether the request has the form that its epoch asks for.
fn check(request: &Request) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::new(ResponseError::InvalidRequest, what));
    if check_group_id(&request.group_id).is_err() {
        return refuse("the group has no name, or a longer one than is taken");
    }
    let names = request.subscribed_topic_names.iter().flatten();
    let rack = request.rack_id.as_ref().map_or(0, |rack| rack.len());
    if request.member_id.len() + rack + names.map(|name| name.len()).sum::<usize>() > GROUP_MEMBER_BYTES_MAX {
        return refuse("the member's names and topics are longer together than is taken");
    }
    if request.member_id.is_empty() {
        return refuse("the member has no id");
    }
    if request.rack_id.as_ref().is_some_and(|rack| rack.is_empty()) {
        return refuse("a rack that is named must not be empty");
    }
    match request.member_epoch {
        JOIN if request.subscribed_topic_names.as_ref().is_none_or(Vec::is_empty) => {
            refuse("who joins has to state its topics")
        }
        LEAVE.. => Ok(()),
        _ => refuse("there is no such member epoch"),
    }
}

fn read(caller: &Caller, request: Request) -> Heartbeat {
    let names = |names: Vec<kafka_protocol::messages::TopicName>| names.iter().map(|name| name.to_string()).collect();
    Heartbeat {
        member_id: request.member_id.to_string(),
        epoch: request.member_epoch,
        rack: request.rack_id.map(|rack| rack.to_string()),
        topics: request.subscribed_topic_names.map(names),
        client_id: caller.client_id.clone(),
        client_host: format!("/{}", caller.peer.ip()),
    }
}

fn assignment(partitions: &Partitions) -> Assignment {
    let of_topic = |(id, numbers)| TopicPartitions::default().with_topic_id(id).with_partitions(numbers);
    Assignment::default().with_topic_partitions(assigned::by_id(partitions).map(of_topic).collect())
}

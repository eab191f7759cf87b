//! ShareAcknowledge (KIP-932): takes a member's verdicts on what it was given, durable when answered. Since version 2 it may hold on to some of it
//! (KIP-1222).

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_acknowledge_response::{
    LeaderIdAndEpoch, PartitionData, ShareAcknowledgeTopicResponse,
};
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use uuid::Uuid;

use super::ahead;
use super::share_fetch::{collect_verdicts, is_set, owner, place};
use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;
use crate::shares::LAST;

pub(super) type Request = ShareAcknowledgeRequest;

/// From this version on there are renewals, and the answer says how long an event is held: later fields.
const VERSION_RENEWS: i16 = 2;
const IS_RENEWAL: i32 = 3;
const LOCK_MS: i32 = 3;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> ShareAcknowledgeResponse {
    let group_id = request.group_id.as_deref().map(|id| id.as_str());
    let lock_ms = caller.broker.shares.terms(group_id.unwrap_or_default()).rules.lock_ms;
    let (mut response, lock_ms) = match acknowledge(caller, request).await {
        Ok(responses) => (
            ShareAcknowledgeResponse::default().with_responses(responses),
            lock_ms as i32,
        ),
        Err(code) => (ShareAcknowledgeResponse::default().with_error_code(code.code()), 0),
    };
    if version >= VERSION_RENEWS {
        let lock_ms = lock_ms.to_be_bytes().to_vec();
        ahead::put(&mut response.unknown_tagged_fields, LOCK_MS, lock_ms);
    }
    response
}

async fn acknowledge(caller: &Caller, request: Request) -> Result<Vec<ShareAcknowledgeTopicResponse>, ResponseError> {
    let is_renewal = is_set(&request.unknown_tagged_fields, IS_RENEWAL, 1);
    let shares = &caller.broker.shares;
    let owner = owner(
        request.group_id.as_deref().map(|id| id.as_str()),
        request.member_id.as_deref(),
    )?;
    // Who has no session is told of that.
    if shares.has_session(&owner) {
        caller.broker.groups.check_share(&owner.0)?;
    }
    shares.step(&owner, request.share_session_epoch)?;
    let mut topics: BTreeMap<Uuid, ShareAcknowledgeTopicResponse> = BTreeMap::new();
    for topic in request.topics {
        let id = topic.topic_id;
        let response = topics
            .entry(id)
            .or_insert_with(|| ShareAcknowledgeTopicResponse::default().with_topic_id(id));
        for partition in topic.partitions {
            let batches = partition.acknowledgement_batches.into_iter();
            let batches = batches.map(|batch| (batch.first_offset, batch.last_offset, batch.acknowledge_types));
            let verdicts = collect_verdicts(batches, is_renewal);
            let taken = match (place(id, partition.partition_index), verdicts) {
                (Ok(place), Ok(verdicts)) => shares.acknowledge(&owner, place, &verdicts).await,
                (Err(code), _) | (_, Err(code)) => Err(code),
            };
            let leader = LeaderIdAndEpoch::default()
                .with_leader_id(caller.broker.node_id().0)
                .with_leader_epoch(LEADER_EPOCH);
            response.partitions.push(
                PartitionData::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(taken.map_or_else(|code| code.code(), |()| 0))
                    .with_current_leader(leader),
            );
        }
    }
    if request.share_session_epoch == LAST {
        shares.end(&owner);
    }
    Ok(topics.into_values().collect())
}

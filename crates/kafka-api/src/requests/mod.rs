//! One file for each kind of request: decode, effect and encode together. Here: the way from a frame to the right one.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod ahead;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_share_group_offsets;
mod api_versions;
mod assigned;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod copy;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_share_group_offsets;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_share_group_offsets;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod no_group;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod reply;
mod share_acknowledge;
mod share_fetch;
mod share_group_describe;
mod share_group_heartbeat;
mod sync_group;
mod topic_ids;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

pub(crate) use ahead::known;
use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Decodable;

use reply::{Reply, RequestError};

use crate::answer::Pending;
use crate::api::{self, Api};
use crate::caller::Caller;
use crate::frame::{self, Head};
use crate::shape::{self, Shape};

/// A request whose header was read and whose body was walked.
struct Request {
    api: &'static Api,
    head: Head,
    client_id: String,
    body: Bytes,
}

/// Takes a request off its frame, does what it asks, and gives the answer or what it waits for.
pub(crate) async fn handle(caller: &mut Caller, frame: Bytes) -> Result<Pending, RequestError> {
    let request = match open(frame)? {
        Opened::Request(request) => request,
        Opened::UnknownApiVersions(head) => {
            let reply = Reply {
                api: ApiKey::ApiVersions,
                version: 0,
                correlation_id: head.correlation_id,
            };
            return reply.ready(&api_versions::unsupported());
        }
    };
    caller.client_id = request.client_id;
    dispatch(caller, request.api.key, request.head, request.body).await
}

/// Everything that happens to a frame before it has an effect: what the fuzz targets drive.
pub(crate) fn decode_only(frame: Bytes) -> bool {
    match open(frame) {
        Ok(Opened::Request(request)) => decode_any(request.api.key, request.body, request.head.version),
        Ok(Opened::UnknownApiVersions(_)) => true,
        Err(_) => false,
    }
}

enum Opened {
    Request(Request),
    /// ApiVersions in a version from the future: answered in version 0 with the versions there are.
    UnknownApiVersions(Head),
}

fn open(mut frame: Bytes) -> Result<Opened, RequestError> {
    let head = frame::take_head(&mut frame).ok_or(RequestError::Header)?;
    let api = api::find(head.api_key).ok_or(RequestError::Api { api_key: head.api_key })?;
    let version = head.version;
    if !api.answers(version) {
        return match api.key {
            ApiKey::ApiVersions => Ok(Opened::UnknownApiVersions(head)),
            api => Err(RequestError::Version { api, version }),
        };
    }
    let refuse = |why| RequestError::Shape {
        api: api.key,
        version,
        why,
    };
    let flexible = api.is_flexible(version);
    let client_id = take_client_id(&mut frame).ok_or(RequestError::Header)?;
    if flexible {
        let tags = shape::walk(&Shape::Struct(&[], &[]), &frame, version, true).map_err(refuse)?;
        frame.advance(tags);
    }
    shape::walk(api.shape, &frame, version, flexible).map_err(refuse)?;
    Ok(Opened::Request(Request {
        api,
        head,
        client_id,
        body: frame,
    }))
}

/// The client's name for itself: a string with two bytes of length in every version of the header.
fn take_client_id(frame: &mut Bytes) -> Option<String> {
    let length = frame.try_get_i16().ok()?;
    let length = match length {
        -1 => 0,
        length => usize::try_from(length).ok()?,
    };
    if length > frame.len() {
        return None;
    }
    Some(String::from_utf8_lossy(&frame.split_to(length)).into_owned())
}

fn decode<T: Decodable>(api: ApiKey, body: Bytes, version: i16) -> Result<T, RequestError> {
    let refuse = |why: String| RequestError::Decode { api, version, why };
    let as_version = known(api, version);
    let body = as_known(api, body, version).ok_or_else(|| refuse("it ends in the middle".to_owned()));
    T::decode(&mut body?, as_version).map_err(|error| refuse(error.to_string()))
}

/// A request's body as in the version that the decoder knows it in ([`known`]); `None` where it is none.
pub(crate) fn as_known(api: ApiKey, body: Bytes, version: i16) -> Option<Bytes> {
    if topic_ids::names_by_id(api, version) {
        return topic_ids::request(api, &body);
    }
    match ahead::is_ahead(api, version) {
        true => ahead::request(api, &body, version),
        false => Some(body),
    }
}

/// Writes the two tables that must name the same requests: what decodes them, and what answers them.
macro_rules! requests {
    ($($api:ident => $module:ident),+ $(,)?) => {
        async fn dispatch(caller: &Caller, api: ApiKey, head: Head, body: Bytes) -> Result<Pending, RequestError> {
            let reply = Reply { api, version: head.version, correlation_id: head.correlation_id };
            match api {
                ApiKey::Produce => {
                    let request = decode(api, body, head.version)?;
                    Ok(produce::submit(caller, request, reply).await)
                }
                ApiKey::Fetch => {
                    let request = decode(api, body, head.version)?;
                    fetch::answer(caller, request, reply).await
                }
                $(ApiKey::$api => {
                    let request = decode(api, body, head.version)?;
                    reply.ready(&$module::answer(caller, request, head.version).await)
                })+
                _ => Err(RequestError::Api { api_key: head.api_key }),
            }
        }

        fn decode_any(api: ApiKey, body: Bytes, version: i16) -> bool {
            match api {
                ApiKey::Produce => {
                    let request = decode::<kafka_protocol::messages::ProduceRequest>(api, body, version);
                    request.is_ok_and(|request| produce::check_batches(request))
                }
                ApiKey::Fetch => decode::<fetch::Request>(api, body, version).is_ok(),
                $(ApiKey::$api => decode::<$module::Request>(api, body, version).is_ok(),)+
                _ => false,
            }
        }
    };
}

requests! {
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    OffsetDelete => offset_delete,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    InitProducerId => init_producer_id,
    AddPartitionsToTxn => add_partitions_to_txn,
    AddOffsetsToTxn => add_offsets_to_txn,
    EndTxn => end_txn,
    WriteTxnMarkers => write_txn_markers,
    TxnOffsetCommit => txn_offset_commit,
    DescribeProducers => describe_producers,
    DescribeTransactions => describe_transactions,
    ListTransactions => list_transactions,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    IncrementalAlterConfigs => incremental_alter_configs,
    DeleteRecords => delete_records,
    DeleteGroups => delete_groups,
    DescribeCluster => describe_cluster,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeAcls => describe_acls,
    CreateAcls => create_acls,
    DeleteAcls => delete_acls,
    AlterReplicaLogDirs => alter_replica_log_dirs,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    ElectLeaders => elect_leaders,
    AlterPartitionReassignments => alter_partition_reassignments,
    ListPartitionReassignments => list_partition_reassignments,
    DescribeClientQuotas => describe_client_quotas,
    AlterClientQuotas => alter_client_quotas,
    DescribeUserScramCredentials => describe_user_scram_credentials,
    UpdateFeatures => update_features,
    DescribeQuorum => describe_quorum,
    ListConfigResources => list_config_resources,
    DescribeTopicPartitions => describe_topic_partitions,
    ConsumerGroupHeartbeat => consumer_group_heartbeat,
    ConsumerGroupDescribe => consumer_group_describe,
    ShareGroupHeartbeat => share_group_heartbeat,
    ShareGroupDescribe => share_group_describe,
    ShareFetch => share_fetch,
    ShareAcknowledge => share_acknowledge,
    DescribeShareGroupOffsets => describe_share_group_offsets,
    AlterShareGroupOffsets => alter_share_group_offsets,
    DeleteShareGroupOffsets => delete_share_group_offsets,
}

#[cfg(test)]
mod tests;

//! The requests answered here, and in which versions: what is not in this table is not advertised.

use kafka_protocol::messages::ApiKey;

use crate::shape::{self, Shape};

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) version_min: i16,
    pub(crate) version_max: i16,
    pub(crate) shape: &'static Shape,
}

const fn api(key: ApiKey, version_min: i16, version_max: i16, shape: &'static Shape) -> Api {
    Api {
        key,
        version_min,
        version_max,
        shape,
    }
}

/// Every request answered, by its key.
pub(crate) const APIS: &[Api] = &[
    api(ApiKey::Produce, 3, 13, &shape::PRODUCE),
    api(ApiKey::Fetch, 4, 18, &shape::FETCH),
    api(ApiKey::ListOffsets, 1, 11, &shape::LIST_OFFSETS),
    api(ApiKey::Metadata, 0, 13, &shape::METADATA),
    api(ApiKey::OffsetCommit, 2, 10, &shape::OFFSET_COMMIT),
    api(ApiKey::OffsetFetch, 1, 10, &shape::OFFSET_FETCH),
    api(ApiKey::OffsetDelete, 0, 0, &shape::OFFSET_DELETE),
    api(ApiKey::FindCoordinator, 0, 6, &shape::FIND_COORDINATOR),
    api(ApiKey::JoinGroup, 0, 9, &shape::JOIN_GROUP),
    api(ApiKey::Heartbeat, 0, 4, &shape::HEARTBEAT),
    api(ApiKey::LeaveGroup, 0, 5, &shape::LEAVE_GROUP),
    api(ApiKey::SyncGroup, 0, 5, &shape::SYNC_GROUP),
    api(ApiKey::DescribeGroups, 0, 6, &shape::DESCRIBE_GROUPS),
    api(ApiKey::ListGroups, 0, 5, &shape::LIST_GROUPS),
    api(ApiKey::ApiVersions, 0, 5, &shape::API_VERSIONS),
    api(ApiKey::CreateTopics, 2, 7, &shape::CREATE_TOPICS),
    api(ApiKey::DeleteTopics, 1, 6, &shape::DELETE_TOPICS),
    api(ApiKey::DeleteRecords, 0, 2, &shape::DELETE_RECORDS),
    api(ApiKey::InitProducerId, 0, 5, &shape::INIT_PRODUCER_ID),
    api(ApiKey::AddPartitionsToTxn, 0, 5, &shape::ADD_PARTITIONS_TO_TXN),
    api(ApiKey::AddOffsetsToTxn, 0, 4, &shape::ADD_OFFSETS_TO_TXN),
    api(ApiKey::EndTxn, 0, 5, &shape::END_TXN),
    api(ApiKey::WriteTxnMarkers, 1, 2, &shape::WRITE_TXN_MARKERS),
    api(ApiKey::TxnOffsetCommit, 0, 6, &shape::TXN_OFFSET_COMMIT),
    api(ApiKey::DescribeProducers, 0, 0, &shape::DESCRIBE_PRODUCERS),
    api(ApiKey::DescribeTransactions, 0, 0, &shape::DESCRIBE_TRANSACTIONS),
    api(ApiKey::ListTransactions, 0, 2, &shape::LIST_TRANSACTIONS),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4, &shape::OFFSET_FOR_LEADER_EPOCH),
    api(ApiKey::DescribeAcls, 1, 3, &shape::DESCRIBE_ACLS),
    api(ApiKey::CreateAcls, 1, 3, &shape::CREATE_ACLS),
    api(ApiKey::DeleteAcls, 1, 3, &shape::DELETE_ACLS),
    api(ApiKey::DescribeConfigs, 1, 4, &shape::DESCRIBE_CONFIGS),
    api(ApiKey::AlterConfigs, 0, 2, &shape::ALTER_CONFIGS),
    api(ApiKey::AlterReplicaLogDirs, 1, 2, &shape::ALTER_REPLICA_LOG_DIRS),
    api(ApiKey::DescribeLogDirs, 1, 5, &shape::DESCRIBE_LOG_DIRS),
    api(ApiKey::CreatePartitions, 0, 3, &shape::CREATE_PARTITIONS),
    api(ApiKey::DeleteGroups, 0, 3, &shape::DELETE_GROUPS),
    api(ApiKey::IncrementalAlterConfigs, 0, 1, &shape::INCREMENTAL_ALTER_CONFIGS),
    api(ApiKey::ElectLeaders, 0, 2, &shape::ELECT_LEADERS),
    api(
        ApiKey::AlterPartitionReassignments,
        0,
        1,
        &shape::ALTER_PARTITION_REASSIGNMENTS,
    ),
    api(
        ApiKey::ListPartitionReassignments,
        0,
        0,
        &shape::LIST_PARTITION_REASSIGNMENTS,
    ),
    api(ApiKey::DescribeClientQuotas, 0, 1, &shape::DESCRIBE_CLIENT_QUOTAS),
    api(ApiKey::AlterClientQuotas, 0, 1, &shape::ALTER_CLIENT_QUOTAS),
    api(
        ApiKey::DescribeUserScramCredentials,
        0,
        0,
        &shape::DESCRIBE_USER_SCRAM_CREDENTIALS,
    ),
    api(ApiKey::DescribeQuorum, 0, 2, &shape::DESCRIBE_QUORUM),
    api(ApiKey::UpdateFeatures, 0, 2, &shape::UPDATE_FEATURES),
    api(ApiKey::DescribeCluster, 0, 2, &shape::DESCRIBE_CLUSTER),
    api(ApiKey::ListConfigResources, 0, 1, &shape::LIST_CONFIG_RESOURCES),
    api(ApiKey::DescribeTopicPartitions, 0, 0, &shape::DESCRIBE_TOPIC_PARTITIONS),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1, &shape::CONSUMER_GROUP_HEARTBEAT),
    api(ApiKey::ConsumerGroupDescribe, 0, 1, &shape::GROUP_DESCRIBE),
    api(ApiKey::ShareGroupHeartbeat, 1, 1, &shape::SHARE_GROUP_HEARTBEAT),
    api(ApiKey::ShareGroupDescribe, 1, 1, &shape::GROUP_DESCRIBE),
    api(ApiKey::ShareFetch, 1, 2, &shape::SHARE_FETCH),
    api(ApiKey::ShareAcknowledge, 1, 2, &shape::SHARE_ACKNOWLEDGE),
    api(
        ApiKey::DescribeShareGroupOffsets,
        0,
        1,
        &shape::DESCRIBE_SHARE_GROUP_OFFSETS,
    ),
    api(ApiKey::AlterShareGroupOffsets, 0, 0, &shape::ALTER_SHARE_GROUP_OFFSETS),
    api(
        ApiKey::DeleteShareGroupOffsets,
        0,
        0,
        &shape::DELETE_SHARE_GROUP_OFFSETS,
    ),
];

/// The features that clients are told of, each at the level that it is at.
pub(crate) const FEATURES: [(&str, i16); 3] = [("group.version", 1), ("share.version", 1), ("transaction.version", 2)];

/// The table's line for a key.
pub(crate) fn find(api_key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == api_key)
}

impl Api {
    pub(crate) fn answers(&self, version: i16) -> bool {
        (self.version_min..=self.version_max).contains(&version)
    }

    /// Whether lengths are varints and structs end with tagged fields.
    pub(crate) fn is_flexible(&self, version: i16) -> bool {
        self.key.request_header_version(version) >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::known;

    #[test]
    fn the_page_for_users_names_the_same_versions() {
        let page = include_str!("../../../docs/kafka.md");
        let rows = page.lines().filter(|line| line.starts_with('|'));
        let cells: Vec<&str> = rows.flat_map(|line| line.split('|')).map(str::trim).collect();
        let mut on_page = 0;
        for api in APIS {
            let versions = format!("{}–{}", api.version_min, api.version_max);
            let named = format!("{:?}", api.key);
            assert!(
                cells.windows(2).any(|pair| pair == [named.as_str(), versions.as_str()]),
                "{named} {versions}"
            );
            on_page += 1;
        }
        let is_range = |cell: &&&str| cell.split_once('–').is_some_and(|(min, _)| min.parse::<u8>().is_ok());
        assert_eq!(cells.iter().filter(is_range).count(), on_page);
    }

    #[test]
    fn no_version_is_advertised_that_the_decoder_does_not_know() {
        for api in APIS {
            let decoded = api.key.valid_versions();
            let newest = known(api.key, api.version_max);
            assert!(decoded.min <= api.version_min && newest <= decoded.max, "{:?}", api.key);
        }
    }
}

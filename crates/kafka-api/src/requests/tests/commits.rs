//! What a group commits is what it is told again.

use headwater_catalog::CreateMode;
use headwater_eventlog::StreamSettings;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::limits::COMMIT_METADATA_BYTES_MAX;

#[tokio::test(flavor = "multi_thread")]
async fn every_offset_is_taken_also_those_that_stand_for_an_end_of_the_topic() {
    let folder = tempfile::tempdir().unwrap();
    let caller = caller(folder.path());
    let created = caller
        .broker
        .create_topic("t", 1, StreamSettings::default(), CreateMode::Create, "ann");
    created.await.unwrap();
    let group = || GroupId(StrBytes::from_static_str("g"));
    let topic = || TopicName(StrBytes::from_static_str("t"));
    let check = async |partition: i32, offset: i64, metadata_bytes: usize, expected: Result<i64, ResponseError>| {
        let commit = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(StrBytes::from_string("m".repeat(metadata_bytes))));
        let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(topic())
                .with_partitions(vec![commit]),
        ]);
        let answer = offset_commit::answer(&caller, request, 8).await;
        let code = answer.topics[0].partitions[0].error_code;
        assert_eq!(
            code,
            expected.map_or_else(|code| code.code(), |_| 0),
            "{partition} {offset}"
        );
        let request = OffsetFetchRequest::default()
            .with_group_id(group())
            .with_topics(Some(vec![
                OffsetFetchRequestTopic::default()
                    .with_name(topic())
                    .with_partition_indexes(vec![partition]),
            ]));
        let answer = offset_fetch::answer(&caller, request, 7).await;
        if let Ok(told) = expected {
            assert_eq!(
                answer.topics[0].partitions[0].committed_offset, told,
                "{partition} {offset}"
            );
        }
    };
    for offset in [13, 0, -1, -2, i64::MAX, i64::MIN] {
        check(0, offset, COMMIT_METADATA_BYTES_MAX, Ok(offset)).await;
    }
    check(
        0,
        1,
        COMMIT_METADATA_BYTES_MAX + 1,
        Err(ResponseError::OffsetMetadataTooLarge),
    )
    .await;
    check(1, 1, 0, Err(ResponseError::UnknownTopicOrPartition)).await;
    check(-1, 1, 0, Err(ResponseError::UnknownTopicOrPartition)).await;
}

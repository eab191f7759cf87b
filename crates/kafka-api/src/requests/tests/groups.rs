//! Groups as clients ask for them: those that are not there, those without a name, and what is told of the others.

use bytes::Bytes;
use headwater_catalog::CreateMode;
use headwater_eventlog::StreamSettings;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::*;

const NOT_FOUND: i16 = ResponseError::GroupIdNotFound.code();

fn id(id: &str) -> GroupId {
    GroupId(StrBytes::from_string(id.to_owned()))
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

async fn opened(folder: &std::path::Path) -> Caller {
    let caller = caller(folder);
    let broker = &caller.broker;
    let created = broker.create_topic("t", 1, StreamSettings::default(), CreateMode::Create, "ann");
    created.await.unwrap();
    caller
}

/// A member of the consumer protocol joins `consumers`, one of share groups `sharers`; the epochs that they are told.
async fn joined(caller: &Caller) -> (i32, i32) {
    let member = StrBytes::from_static_str("m");
    let beat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(id("consumers"))
        .with_member_id(member.clone())
        .with_rebalance_timeout_ms(10_000)
        .with_subscribed_topic_names(Some(vec![topic()]))
        .with_topic_partitions(Some(Vec::new()));
    let consumer = consumer_group_heartbeat::answer(caller, beat, 1).await;
    let beat = ShareGroupHeartbeatRequest::default()
        .with_group_id(id("sharers"))
        .with_member_id(member)
        .with_subscribed_topic_names(Some(vec![topic()]));
    let sharer = share_group_heartbeat::answer(caller, beat, 1).await;
    assert_eq!((consumer.error_code, sharer.error_code), (0, 0));
    (consumer.member_epoch, sharer.member_epoch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_or_of_another_kind_is_told_in_kafkas_words() {
    let folder = tempfile::tempdir().unwrap();
    let caller = opened(folder.path()).await;
    joined(&caller).await;
    let nowhere = "Group nowhere not found.";
    let why = |code: i16, message: Option<StrBytes>| {
        assert_eq!(code, NOT_FOUND);
        message.map_or_else(String::new, |message| message.to_string())
    };
    for (group, expected) in [
        ("nowhere", nowhere),
        ("sharers", "Group sharers is not a classic group."),
    ] {
        let request = DescribeGroupsRequest::default().with_groups(vec![id(group)]);
        let answer = describe_groups::answer(&caller, request, 6).await.groups.remove(0);
        assert_eq!(why(answer.error_code, answer.error_message), expected);
    }
    for (group, expected) in [
        ("nowhere", nowhere),
        ("sharers", "Group sharers is not a consumer group."),
    ] {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id(group)]);
        let answer = consumer_group_describe::answer(&caller, request, 1)
            .await
            .groups
            .remove(0);
        assert_eq!(why(answer.error_code, answer.error_message), expected);
    }
    for (group, expected) in [
        ("nowhere", nowhere),
        ("consumers", "Group consumers is not a share group."),
    ] {
        let request = ShareGroupDescribeRequest::default().with_group_ids(vec![id(group)]);
        let answer = share_group_describe::answer(&caller, request, 1).await.groups.remove(0);
        assert_eq!(why(answer.error_code, answer.error_message), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_somebody_has_joined_is_in_its_second_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let caller = opened(folder.path()).await;
    assert_eq!(joined(&caller).await, (2, 2));
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![id("consumers")]);
    let group = consumer_group_describe::answer(&caller, request, 1)
        .await
        .groups
        .remove(0);
    assert_eq!((group.group_epoch, group.assignment_epoch), (2, 2));
    // A member without a pattern has an empty one.
    assert_eq!(group.members[0].subscribed_topic_regex.as_deref(), Some(""));
}

async fn commit(caller: &Caller, group: &str, generation: i32, version: i16) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(id(group))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic]);
    let answer = offset_commit::answer(caller, request, version).await;
    answer.topics[0].partitions[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_name_commits_and_has_no_members() {
    let folder = tempfile::tempdir().unwrap();
    let caller = opened(folder.path()).await;
    let delete = async |group: &str| {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![id(group)]);
        delete_groups::answer(&caller, request, 2).await.results[0].error_code
    };
    assert_eq!(delete("").await, NOT_FOUND);
    assert_eq!(commit(&caller, "", 1, 8).await, ResponseError::IllegalGeneration.code());
    assert_eq!(commit(&caller, "", 1, 9).await, NOT_FOUND);
    assert_eq!(commit(&caller, "", -1, 8).await, 0);
    assert_eq!(delete("").await, 0);
    assert_eq!(delete("").await, NOT_FOUND);
    let long = "g".repeat(usize::from(u16::MAX));
    assert_eq!(
        commit(&caller, &long, -1, 8).await,
        ResponseError::InvalidGroupId.code()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_no_topic_has_come_last() {
    let folder = tempfile::tempdir().unwrap();
    let caller = opened(folder.path()).await;
    let known = topic_ids::name(caller.broker.log.stream("t").unwrap().id);
    let asked = |name: StrBytes| {
        OffsetFetchRequestTopics::default()
            .with_name(TopicName(name))
            .with_partition_indexes(vec![0])
    };
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(id("g"))
        .with_member_epoch(-1)
        .with_topics(Some(vec![asked(topic_ids::name(7)), asked(known.clone())]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let answer = offset_fetch::answer(&caller, request, 10).await;
    let told = answer.groups[0].topics.iter();
    let told: Vec<(StrBytes, i16)> = told
        .map(|topic| (topic.name.0.clone(), topic.partitions[0].error_code))
        .collect();
    let unknown = ResponseError::UnknownTopicId.code();
    assert_eq!(told, [(known, 0), (topic_ids::name(7), unknown)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_subscription_cannot_be_read_may_read_anything() {
    let folder = tempfile::tempdir().unwrap();
    let caller = opened(folder.path()).await;
    assert_eq!(commit(&caller, "g", -1, 8).await, 0);
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("p"))
        .with_metadata(Bytes::from_static(b"\x01"));
    let request = JoinGroupRequest::default()
        .with_group_id(id("g"))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocols(vec![protocol]);
    let joined = join_group::answer(&caller, request, 3).await;
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(topic())
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(id("g"))
        .with_topics(vec![topic]);
    let answer = offset_delete::answer(&caller, request, 0).await;
    let code = answer.topics[0].partitions[0].error_code;
    assert_eq!(code, ResponseError::GroupSubscribedToTopic.code());
}

//! What an administrator asks, as a cluster of one broker answers it.

use headwater_catalog::CreateMode;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::*;
use crate::KafkaOptions;

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

async fn with_topics(topics: &[(&str, u32)]) -> (tempfile::TempDir, Caller) {
    let folder = tempfile::tempdir().unwrap();
    let caller = caller(folder.path());
    for (name, partitions) in topics {
        let broker = &caller.broker;
        broker
            .create_topic(
                name,
                *partitions,
                headwater_eventlog::StreamSettings::default(),
                CreateMode::Create,
                "ann",
            )
            .await
            .unwrap();
    }
    (folder, caller)
}

fn code(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_epoch_ends_where_the_partition_does() {
    let (_folder, caller) = with_topics(&[("t", 1)]).await;
    let event = headwater_records::Event::default();
    let part = headwater_eventlog::Part {
        stream: "t".to_owned(),
        partition: 0,
        batch: headwater_records::Batch::encode(&[event], headwater_records::Compression::None, None),
    };
    let append = headwater_eventlog::Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    caller.broker.log.append(append).await.unwrap();
    let check = async |partition: i32, current: i32, epoch: i32, expected: (Option<ResponseError>, i32, i64)| {
        let asked = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(name("t"))
            .with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let answer = offset_for_leader_epoch::answer(&caller, request, 4).await;
        let found = &answer.topics[0].partitions[0];
        let found = (code(found.error_code), found.leader_epoch, found.end_offset);
        assert_eq!(found, expected, "{partition} {current} {epoch}");
    };
    check(0, -1, 0, (None, 0, 1)).await;
    check(0, 0, 0, (None, 0, 1)).await;
    check(0, 0, 1, (None, -1, -1)).await;
    check(0, 1, 0, (Some(ResponseError::UnknownLeaderEpoch), -1, -1)).await;
    check(1, -1, 0, (Some(ResponseError::UnknownTopicOrPartition), -1, -1)).await;
    check(-1, -1, 0, (Some(ResponseError::UnknownTopicOrPartition), -1, -1)).await;
}

/// The pages of a description: the topics of each with the partitions in it, or the error.
async fn pages(caller: &Caller, topics: &[&str], limit: i32) -> Vec<Vec<(String, Result<Vec<i32>, ResponseError>)>> {
    let topics: Vec<TopicRequest> = topics
        .iter()
        .map(|topic| TopicRequest::default().with_name(name(topic)))
        .collect();
    let mut pages = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics.clone())
            .with_response_partition_limit(limit)
            .with_cursor(cursor);
        let answer = describe_topic_partitions::answer(caller, request, 0).await;
        let described = answer.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
            let found = match code(topic.error_code) {
                None => Ok(partitions.collect()),
                Some(code) => Err(code),
            };
            (topic.name.unwrap().to_string(), found)
        });
        pages.push(described.collect());
        let Some(next) = answer.next_cursor else { return pages };
        cursor = Some(
            Cursor::default()
                .with_topic_name(next.topic_name)
                .with_partition_index(next.partition_index),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_come_page_by_page_and_nothing_twice() {
    let (_folder, caller) = with_topics(&[("a", 3), ("b", 1), ("c", 2)]).await;
    let found = |name: &str, partitions: &[i32]| (name.to_owned(), Ok(partitions.to_vec()));
    let whole = pages(&caller, &["c", "a", "b", "a"], 100).await;
    assert_eq!(whole, [[found("a", &[0, 1, 2]), found("b", &[0]), found("c", &[0, 1])]]);
    let pair = pages(&caller, &["a", "b", "c"], 2).await;
    let expected = [
        vec![found("a", &[0, 1])],
        vec![found("a", &[2]), found("b", &[0])],
        vec![found("c", &[0, 1])],
    ];
    assert_eq!(pair, expected);
    let three = pages(&caller, &["a", "b"], 3).await;
    assert_eq!(three, [vec![found("a", &[0, 1, 2])], vec![found("b", &[0])]]);
    let unknown = pages(&caller, &["absent", "a b", "b"], 1).await;
    let refused = |name: &str, code| vec![(name.to_owned(), Err(code))];
    let expected = [
        refused("a b", ResponseError::InvalidTopicException),
        refused("absent", ResponseError::UnknownTopicOrPartition),
        vec![found("b", &[0])],
    ];
    assert_eq!(unknown, expected);
    // Without names, all of them, the program's own too.
    let all: Vec<String> = pages(&caller, &[], 1)
        .await
        .concat()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let mut distinct = all.clone();
    distinct.dedup();
    let streams: Vec<String> = caller.broker.log.streams().into_iter().map(|info| info.name).collect();
    assert_eq!(distinct, streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_checked_and_assigned() {
    let (_folder, caller) = with_topics(&[("t", 2)]).await;
    let check = async |topic: &str, count: i32, brokers: Option<&[&[i32]]>, validate: bool, expected| {
        let assignment = |brokers: &&[i32]| {
            let brokers = brokers.iter().map(|broker| BrokerId(*broker));
            CreatePartitionsAssignment::default().with_broker_ids(brokers.collect())
        };
        let topic = CreatePartitionsTopic::default()
            .with_name(name(topic))
            .with_count(count)
            .with_assignments(brokers.map(|brokers| brokers.iter().map(assignment).collect()));
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_validate_only(validate);
        let answer = create_partitions::answer(&caller, request, 3).await;
        assert_eq!(code(answer.results[0].error_code), expected, "{count} {brokers:?}");
    };
    let there = || caller.broker.log.stream("t").unwrap().partitions;
    check("t", 2, None, false, Some(ResponseError::InvalidPartitions)).await;
    check("t", -1, None, false, Some(ResponseError::InvalidPartitions)).await;
    check("t", 10_001, None, false, Some(ResponseError::InvalidPartitions)).await;
    check("absent", 3, None, false, Some(ResponseError::UnknownTopicOrPartition)).await;
    check(
        "_headwater.catalog",
        3,
        None,
        false,
        Some(ResponseError::TopicAuthorizationFailed),
    )
    .await;
    check(
        "t",
        4,
        Some(&[&[1]]),
        false,
        Some(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check(
        "t",
        3,
        Some(&[&[2]]),
        false,
        Some(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check(
        "t",
        3,
        Some(&[&[1, 2]]),
        false,
        Some(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check("t", 10_000, None, true, None).await;
    assert_eq!(there(), 2);
    check("t", 3, Some(&[&[1]]), false, None).await;
    assert_eq!(there(), 3);
    check("t", 5, None, false, None).await;
    assert_eq!((there(), caller.broker.catalog.stream("t").unwrap().partitions), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_asked_for_as_one_broker_has_them() {
    let (_folder, mut caller) = with_topics(&[]).await;
    let check = async |caller: &Caller, partitions: i32, factor: i16, brokers: &[(i32, &[i32])], expected| {
        let assignment = |(partition, brokers): &(i32, &[i32])| {
            let brokers = brokers.iter().map(|broker| BrokerId(*broker));
            CreatableReplicaAssignment::default()
                .with_partition_index(*partition)
                .with_broker_ids(brokers.collect())
        };
        let topic = CreatableTopic::default()
            .with_name(name("t"))
            .with_num_partitions(partitions)
            .with_replication_factor(factor)
            .with_assignments(brokers.iter().map(assignment).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_validate_only(true);
        let answer = create_topics::answer(caller, request, 7).await;
        let result = &answer.topics[0];
        let found = match code(result.error_code) {
            None => Ok((result.num_partitions, result.replication_factor)),
            Some(code) => Err(code),
        };
        assert_eq!(found, expected, "{partitions} {factor} {brokers:?}");
    };
    check(&caller, 3, 1, &[], Ok((3, 1))).await;
    check(&caller, -1, -1, &[], Ok((1, 1))).await;
    check(&caller, 0, 1, &[], Err(ResponseError::InvalidPartitions)).await;
    check(&caller, 1, 3, &[], Err(ResponseError::InvalidReplicationFactor)).await;
    check(&caller, 1, 0, &[], Err(ResponseError::InvalidReplicationFactor)).await;
    check(&caller, -1, -1, &[(1, &[1]), (0, &[1])], Ok((2, 1))).await;
    check(&caller, 2, -1, &[(0, &[1])], Err(ResponseError::InvalidRequest)).await;
    check(
        &caller,
        -1,
        -1,
        &[(1, &[1])],
        Err(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check(
        &caller,
        -1,
        -1,
        &[(0, &[1]), (0, &[1])],
        Err(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check(
        &caller,
        -1,
        -1,
        &[(0, &[7])],
        Err(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    check(
        &caller,
        -1,
        -1,
        &[(0, &[1, 2])],
        Err(ResponseError::InvalidReplicaAssignment),
    )
    .await;
    // With the setting for applications that always ask for three.
    let folder = tempfile::tempdir().unwrap();
    let options = KafkaOptions {
        any_replication_factor: true,
        ..KafkaOptions::default()
    };
    caller = caller_with(folder.path(), options);
    check(&caller, 1, 3, &[], Ok((1, 1))).await;
    check(&caller, -1, -1, &[(0, &[2, 1])], Ok((1, 1))).await;
    check(&caller, 1, 0, &[], Err(ResponseError::InvalidReplicationFactor)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_replicas_and_folders_are_those_of_one_broker() {
    let (_folder, caller) = with_topics(&[("t", 2)]).await;
    let elect = async |topics: Option<Vec<TopicPartitions>>| {
        let request = ElectLeadersRequest::default().with_topic_partitions(topics);
        let answer = elect_leaders::answer(&caller, request, 2).await;
        let results = answer.replica_election_results.into_iter();
        let codes = results.flat_map(|topic| topic.partition_result.into_iter().map(|one| code(one.error_code)));
        codes.collect::<Vec<_>>()
    };
    assert_eq!(elect(None).await, []);
    let asked = TopicPartitions::default()
        .with_topic(name("t"))
        .with_partitions(vec![1, 2]);
    let expected = [ResponseError::ElectionNotNeeded, ResponseError::UnknownTopicOrPartition];
    assert_eq!(elect(Some(vec![asked])).await, expected.map(Some));

    let described = describe_log_dirs::answer(&caller, DescribeLogDirsRequest::default().with_topics(None), 4).await;
    let folder = &described.results[0];
    assert_eq!((described.results.len(), folder.error_code), (1, 0));
    let catalog = folder
        .topics
        .iter()
        .find(|topic| topic.name.as_str() == "_headwater.catalog")
        .unwrap();
    assert!(catalog.partitions[0].partition_size > 61);
    let topic = folder.topics.iter().find(|topic| topic.name.as_str() == "t").unwrap();
    assert_eq!(
        topic
            .partitions
            .iter()
            .map(|one| one.partition_size)
            .collect::<Vec<_>>(),
        [0, 0]
    );

    let moved = async |path: &str, partition: i32| {
        let topic = alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let dir = alter_replica_log_dirs_request::AlterReplicaLogDir::default()
            .with_path(StrBytes::from_string(path.to_owned()))
            .with_topics(vec![topic]);
        let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
        let answer = alter_replica_log_dirs::answer(&caller, request, 2).await;
        code(answer.results[0].partitions[0].error_code)
    };
    assert_eq!(moved(&folder.log_dir, 0).await, None);
    assert_eq!(
        moved(&folder.log_dir, 2).await,
        Some(ResponseError::UnknownTopicOrPartition)
    );
    assert_eq!(moved("/elsewhere", 0).await, Some(ResponseError::LogDirNotFound));

    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![describe_quorum_request::PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let quorum = describe_quorum::answer(&caller, request, 2).await;
    let partition = &quorum.topics[0].partitions[0];
    assert_eq!(
        (
            partition.error_code,
            partition.leader_id,
            partition.current_voters.len()
        ),
        (0, BrokerId(1), 1)
    );
    assert!(partition.high_watermark > 0 && quorum.nodes.len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_found_and_deleted_by_name_or_by_id_and_never_by_both() {
    let (_folder, caller) = with_topics(&[("t", 2), ("u", 1)]).await;
    let id = |name: &str| Uuid::from_u128(caller.broker.log.stream(name).unwrap().id);
    let (t, u) = (id("t"), id("u"));
    let topics = vec![
        metadata_request::MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(t),
        metadata_request::MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(Uuid::from_u128(1)),
        metadata_request::MetadataRequestTopic::default().with_name(Some(name("_headwater.catalog"))),
    ];
    let request = MetadataRequest::default()
        .with_topics(Some(topics))
        .with_include_topic_authorized_operations(true);
    let answer = metadata::answer(&caller, request, 12).await;
    let found: Vec<(Option<ResponseError>, usize, bool, bool)> = answer
        .topics
        .iter()
        .map(|topic| {
            let may_write =
                topic.topic_authorized_operations != i32::MIN && topic.topic_authorized_operations & 1 << 4 != 0;
            (
                code(topic.error_code),
                topic.partitions.len(),
                topic.is_internal,
                may_write,
            )
        })
        .collect();
    let expected = [
        (None, 2, false, true),
        (Some(ResponseError::UnknownTopicId), 0, false, false),
        (None, 1, true, false),
    ];
    assert_eq!(found, expected);
    let delete = async |named: Option<&str>, id: Uuid| {
        let topic = delete_topics_request::DeleteTopicState::default()
            .with_name(named.map(name))
            .with_topic_id(id);
        let request = DeleteTopicsRequest::default().with_topics(vec![topic]);
        let answer = delete_topics::answer(&caller, request, 6).await;
        code(answer.responses[0].error_code)
    };
    assert_eq!(delete(Some("t"), t).await, Some(ResponseError::InvalidRequest));
    assert_eq!(
        delete(None, Uuid::from_u128(1)).await,
        Some(ResponseError::UnknownTopicId)
    );
    assert_eq!(delete(None, t).await, None);
    assert_eq!(delete(None, t).await, Some(ResponseError::UnknownTopicId));
    assert_eq!(delete(Some("u"), Uuid::nil()).await, None);
    assert!(caller.broker.log.stream("u").is_none() && caller.broker.topic_by_id(u).is_none());
    assert_eq!(
        delete(Some("_headwater.catalog"), Uuid::nil()).await,
        Some(ResponseError::TopicAuthorizationFailed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn features_keep_their_levels() {
    let (_folder, caller) = with_topics(&[]).await;
    let (feature, level) = crate::api::FEATURES[0];
    let check = async |feature: &'static str, level: i16, version: i16, expected: Option<ResponseError>| {
        let update = update_features_request::FeatureUpdateKey::default()
            .with_feature(StrBytes::from_static_str(feature))
            .with_max_version_level(level);
        let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
        let answer = update_features::answer(&caller, request, version).await;
        let whole = code(answer.error_code);
        let each: Vec<Option<ResponseError>> = answer.results.iter().map(|one| code(one.error_code)).collect();
        // Where nothing is refused, older versions name each feature.
        let named = if expected.is_none() && version < 2 {
            vec![None]
        } else {
            vec![]
        };
        assert_eq!((whole, each), (expected, named), "{feature} {level} {version}");
    };
    for version in [0, 1, 2] {
        check(feature, level, version, None).await;
        check(feature, level + 1, version, Some(ResponseError::InvalidUpdateVersion)).await;
        check(feature, 0, version, Some(ResponseError::InvalidUpdateVersion)).await;
        check("unknown", 1, version, Some(ResponseError::InvalidUpdateVersion)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_and_kafkas_own_are_refused_in_kafkas_terms() {
    let (_folder, caller) = with_topics(&[("t", 1)]).await;
    for (topic, expected, why) in [
        (
            "t",
            ResponseError::TopicAlreadyExists,
            "a topic 't' exists already: choose another name",
        ),
        (
            "__cluster_metadata",
            ResponseError::InvalidRequest,
            "'__cluster_metadata' is the name of Kafka's own log of its metadata: choose another one",
        ),
    ] {
        for validate_only in [true, false] {
            let asked = CreatableTopic::default()
                .with_name(name(topic))
                .with_num_partitions(1)
                .with_replication_factor(1);
            let request = CreateTopicsRequest::default()
                .with_topics(vec![asked])
                .with_validate_only(validate_only);
            let answer = create_topics::answer(&caller, request, 7).await;
            let told = &answer.topics[0];
            assert_eq!(code(told.error_code), Some(expected), "{topic}");
            assert_eq!(told.error_message.as_deref(), Some(why), "{topic}");
        }
    }
    // Asking for it does not create it either.
    let asked = metadata_request::MetadataRequestTopic::default().with_name(Some(name("__cluster_metadata")));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(true);
    let answer = metadata::answer(&caller, request, 12).await;
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(code(answer.topics[0].error_code), unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_done_with_a_group_is_told_to_who_asks() {
    let (_folder, caller) = with_topics(&[("t", 1)]).await;
    let group = |id: &'static str| GroupId(StrBytes::from_static_str(id));
    let topics = || Some(vec![name("t")]);
    let joining = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("consumers"))
        .with_member_id(StrBytes::from_static_str("m"))
        .with_rebalance_timeout_ms(1_000)
        .with_topic_partitions(Some(Vec::new()))
        .with_subscribed_topic_names(topics());
    let joined = consumer_group_heartbeat::answer(&caller, joining, 1).await;
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let joining = ShareGroupHeartbeatRequest::default()
        .with_group_id(group("sharers"))
        .with_member_id(StrBytes::from_static_str("m"))
        .with_subscribed_topic_names(topics());
    let joined = share_group_heartbeat::answer(&caller, joining, 1).await;
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let commit = offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![offset_commit_request::OffsetCommitRequestPartition::default()]);
    let committing = OffsetCommitRequest::default()
        .with_group_id(group("classics"))
        .with_topics(vec![commit]);
    let committed = offset_commit::answer(&caller, committing, 8).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    // Read, delete, describe; describe and alter its configurations.
    for (asks, expected) in [(true, 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11), (false, i32::MIN)] {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![group("classics")])
            .with_include_authorized_operations(asks);
        let classic = describe_groups::answer(&caller, request, 5).await;
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![group("consumers")])
            .with_include_authorized_operations(asks);
        let consumer = consumer_group_describe::answer(&caller, request, 1).await;
        let request = ShareGroupDescribeRequest::default()
            .with_group_ids(vec![group("sharers")])
            .with_include_authorized_operations(asks);
        let share = share_group_describe::answer(&caller, request, 1).await;
        let told = [
            classic.groups[0].authorized_operations,
            consumer.groups[0].authorized_operations,
            share.groups[0].authorized_operations,
        ];
        assert_eq!(told, [expected; 3], "{asks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_name_is_told_so() {
    let (_folder, caller) = with_topics(&[]).await;
    let invalid = Some(ResponseError::InvalidGroupId);
    let beaten = heartbeat::answer(&caller, HeartbeatRequest::default(), 4).await;
    assert_eq!(code(beaten.error_code), invalid);
    for version in [2, 5] {
        let left = leave_group::answer(&caller, LeaveGroupRequest::default(), version).await;
        assert_eq!(code(left.error_code), invalid, "{version}");
    }
}

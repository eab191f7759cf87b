//! Share groups in the versions that the decoder does not know: renewals, strict limits, lags.

use headwater_catalog::CreateMode;
use headwater_eventlog::{Append, Part, StreamSettings};
use headwater_records::{Batch, Compression, Event};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as Acknowledgement,
};
use kafka_protocol::messages::share_fetch_request::{AcknowledgementBatch, FetchPartition, FetchTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::*;
use crate::ShareBegins;
use crate::groups::configs;

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("g"))
}

fn member() -> StrBytes {
    StrBytes::from_static_str("m")
}

/// A later field of a request, and its byte.
type Later = (i32, u8);

const IS_RENEWAL: Later = (9, 1);
const RECORD_LIMIT: Later = (8, 1);

/// A caller whose group g has the member m, and a topic of one partition with so many events in one batch.
async fn opened(folder: &std::path::Path, events: usize) -> (Caller, Uuid) {
    let options = KafkaOptions {
        share_begins: ShareBegins::Earliest,
        ..KafkaOptions::default()
    };
    let caller = caller_with(folder, options);
    let broker = &caller.broker;
    let created = broker.create_topic("t", 1, StreamSettings::default(), CreateMode::Create, "ann");
    created.await.unwrap();
    if events > 0 {
        let part = Part {
            stream: "t".to_owned(),
            partition: 0,
            batch: Batch::encode(&vec![Event::default(); events], Compression::None, None),
        };
        let append = Append {
            parts: vec![part],
            principal: "ann".to_owned(),
            condition: None,
        };
        broker.log.append(append).await.unwrap();
    }
    let joining = ShareGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(member())
        .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_static_str("t"))]));
    let joined = share_group_heartbeat::answer(&caller, joining, 1).await;
    assert_eq!(joined.error_code, 0, "{joined:?}");
    let id = broker.log.stream("t").unwrap().id;
    (caller, Uuid::from_u128(id))
}

/// A fetch of so many events, with verdicts on those that the member has, from the first on.
fn fetch(topic: Uuid, epoch: i32, events: i32, verdicts: &[i8], later: &[Later]) -> ShareFetchRequest {
    let mut partition = FetchPartition::default();
    if !verdicts.is_empty() {
        let batch = AcknowledgementBatch::default()
            .with_last_offset(verdicts.len() as i64 - 1)
            .with_acknowledge_types(verdicts.to_vec());
        partition.acknowledgement_batches.push(batch);
    }
    let topic = FetchTopic::default()
        .with_topic_id(topic)
        .with_partitions(vec![partition]);
    let mut request = ShareFetchRequest::default()
        .with_group_id(Some(group()))
        .with_member_id(Some(member()))
        .with_share_session_epoch(epoch)
        .with_max_bytes(if events > 0 { 1 << 20 } else { 0 })
        .with_max_records(events)
        .with_batch_size(events)
        .with_topics(vec![topic]);
    for (field, value) in later {
        ahead::put(&mut request.unknown_tagged_fields, *field, vec![*value]);
    }
    request
}

/// What a fetch is answered: its error, or the error of the verdicts and the runs of events that are given.
async fn fetched(caller: &Caller, request: ShareFetchRequest) -> Result<(i16, Vec<(i64, i64)>), i16> {
    let answer = share_fetch::answer(caller, request, 2).await;
    if answer.error_code != 0 {
        return Err(answer.error_code);
    }
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let mut told = (0, Vec::new());
    for partition in partitions {
        told.0 = partition.acknowledge_error_code;
        let runs = partition.acquired_records.iter();
        told.1.extend(runs.map(|run| (run.first_offset, run.last_offset)));
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_holds_on_to_events_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 3).await;
    let invalid = ResponseError::InvalidRequest.code();
    for (epoch, events, verdicts, later, expected) in [
        (0, 10, &[][..], &[][..], Ok((0, vec![(0, 2)]))),
        // Only who says so may hold on to something, and it asks for nothing else then.
        (1, 10, &[4, 4, 4], &[], Ok((invalid, vec![]))),
        (2, 10, &[4, 4, 4], &[IS_RENEWAL], Err(invalid)),
        (2, 0, &[4, 1, 4], &[IS_RENEWAL], Ok((0, vec![]))),
        // What was accepted is not the member's any more.
        (
            3,
            0,
            &[4, 4, 4],
            &[IS_RENEWAL],
            Ok((ResponseError::InvalidRecordState.code(), vec![])),
        ),
    ] {
        let told = fetched(&caller, fetch(topic, epoch, events, verdicts, later)).await;
        assert_eq!(told, expected, "{epoch} {events} {verdicts:?} {later:?}");
    }
    // The same by an acknowledgement alone, whose answer says for how long.
    for (epoch, is_renewal, expected) in [(4, 0, invalid), (5, 1, 0)] {
        let batch = Acknowledgement::default().with_acknowledge_types(vec![4]);
        let partition = AcknowledgePartition::default().with_acknowledgement_batches(vec![batch]);
        let topic = AcknowledgeTopic::default()
            .with_topic_id(topic)
            .with_partitions(vec![partition]);
        let mut request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(group()))
            .with_member_id(Some(member()))
            .with_share_session_epoch(epoch)
            .with_topics(vec![topic]);
        ahead::put(&mut request.unknown_tagged_fields, 3, vec![is_renewal]);
        let answer = share_acknowledge::answer(&caller, request, 2).await;
        assert_eq!(
            (answer.error_code, answer.responses[0].partitions[0].error_code),
            (0, expected)
        );
        let lock_ms = ahead::later(&answer.unknown_tagged_fields, 3).cloned();
        assert_eq!(lock_ms.as_deref(), Some(&30_000_i32.to_be_bytes()[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_limit_cuts_a_batch_and_the_lag_counts_what_is_not_done_with() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 5).await;
    let strict = fetched(&caller, fetch(topic, 0, 2, &[], &[RECORD_LIMIT])).await;
    assert_eq!(strict, Ok((0, vec![(0, 1)])));
    let lag = async || {
        let group = DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(group())
            .with_topics(None);
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
        let answer = describe_share_group_offsets::answer(&caller, request, 1).await;
        let partition = &answer.groups[0].topics[0].partitions[0];
        let lag = ahead::later(&partition.unknown_tagged_fields, 3).cloned().unwrap();
        (
            partition.start_offset,
            i64::from_be_bytes(lag.as_ref().try_into().unwrap()),
        )
    };
    assert_eq!(lag().await, (0, 5));
    // The first is released, the second is done with; the batch is given whole where the limit is not strict.
    let whole = fetched(&caller, fetch(topic, 1, 2, &[2, 1], &[])).await;
    assert_eq!(whole, Ok((0, vec![(0, 0), (2, 4)])));
    assert_eq!(lag().await, (0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_a_partition_that_never_had_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 0).await;
    assert_eq!(fetched(&caller, fetch(topic, 0, 10, &[], &[])).await, Ok((0, vec![])));
    let group = DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(group())
        .with_topics(None);
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
    let answer = describe_share_group_offsets::answer(&caller, request, 1).await;
    let partition = &answer.groups[0].topics[0].partitions[0];
    let lag = ahead::later(&partition.unknown_tagged_fields, 3).cloned();
    assert_eq!((partition.error_code, partition.start_offset), (0, -1));
    assert_eq!(lag.as_deref(), Some(&(-1_i64).to_be_bytes()[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_room_is_given_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 3).await;
    let no_room = fetch(topic, 0, 10, &[], &[]).with_max_bytes(0);
    assert_eq!(fetched(&caller, no_room).await, Ok((0, vec![])));
    assert_eq!(
        fetched(&caller, fetch(topic, 1, 10, &[], &[])).await,
        Ok((0, vec![(0, 2)]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_there_is_told_before_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 3).await;
    let elsewhere = |request: ShareFetchRequest| request.with_group_id(Some(GroupId(StrBytes::from_static_str("x"))));
    for (epoch, verdicts, expected) in [
        (0, &[1][..], ResponseError::InvalidRequest),
        (0, &[], ResponseError::GroupIdNotFound),
        (3, &[1], ResponseError::ShareSessionNotFound),
        (-1, &[], ResponseError::ShareSessionNotFound),
    ] {
        let asked = elsewhere(fetch(topic, epoch, 10, verdicts, &[]));
        assert_eq!(fetched(&caller, asked).await, Err(expected.code()), "{epoch}");
    }
    for (epoch, expected) in [
        (0, ResponseError::InvalidShareSessionEpoch),
        (1, ResponseError::ShareSessionNotFound),
        (-1, ResponseError::ShareSessionNotFound),
    ] {
        let asked = acknowledge(topic, epoch, &[1]).with_group_id(Some(GroupId(StrBytes::from_static_str("x"))));
        let answer = share_acknowledge::answer(&caller, asked, 2).await;
        assert_eq!(answer.error_code, expected.code(), "{epoch}");
        let lock_ms = ahead::later(&answer.unknown_tagged_fields, 3).cloned();
        assert_eq!(lock_ms.as_deref(), Some(&[0; 4][..]), "{epoch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_yet_is_told_where_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = opened(folder.path(), 5).await;
    let alter = async |group_id: &'static str, topic: &'static str, start: i64| {
        let partition = AlterShareGroupOffsetsRequestPartition::default().with_start_offset(start);
        let topic = AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(topic)))
            .with_partitions(vec![partition]);
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str(group_id)))
            .with_topics(vec![topic]);
        let answer = alter_share_group_offsets::answer(&caller, request, 0).await;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
        (answer.error_code, codes)
    };
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    for (group_id, topic, start, expected) in [
        ("new", "t", 3, (0, vec![0])),
        ("new", "t", 2, (0, vec![0])),
        ("new", "nowhere", 2, (0, vec![unknown])),
        ("new", "t", -2, (0, vec![ResponseError::InvalidRequest.code()])),
        ("g", "t", 2, (ResponseError::NonEmptyGroup.code(), vec![])),
        ("", "t", 2, (ResponseError::InvalidGroupId.code(), vec![])),
    ] {
        assert_eq!(
            alter(group_id, topic, start).await,
            expected,
            "{group_id} {topic} {start}"
        );
    }
    assert_eq!(caller.broker.groups.check_share("new"), Ok(()));
    let starts: Vec<u64> = caller
        .broker
        .shares
        .standings("new")
        .values()
        .map(|standing| standing.start)
        .collect();
    assert_eq!(starts, [2]);
}

/// What the member says of the first events, with an epoch of its session.
fn acknowledge(topic: Uuid, epoch: i32, verdicts: &[i8]) -> ShareAcknowledgeRequest {
    let batch = Acknowledgement::default()
        .with_last_offset(verdicts.len() as i64 - 1)
        .with_acknowledge_types(verdicts.to_vec());
    let partition = AcknowledgePartition::default().with_acknowledgement_batches(vec![batch]);
    let topic = AcknowledgeTopic::default()
        .with_topic_id(topic)
        .with_partitions(vec![partition]);
    ShareAcknowledgeRequest::default()
        .with_group_id(Some(group()))
        .with_member_id(Some(member()))
        .with_share_session_epoch(epoch)
        .with_topics(vec![topic])
}

async fn leave(caller: &Caller) {
    let leaving = ShareGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(member())
        .with_member_epoch(-1);
    let left = share_group_heartbeat::answer(caller, leaving, 1).await;
    assert_eq!(left.error_code, 0, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_verdicts_of_a_member_that_left_count() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 3).await;
    let given = fetched(&caller, fetch(topic, 0, 10, &[], &[])).await;
    assert_eq!(given, Ok((0, vec![(0, 2)])));
    leave(&caller).await;
    let answer = share_acknowledge::answer(&caller, acknowledge(topic, -1, &[1, 1, 2]), 1).await;
    assert_eq!(
        (answer.error_code, answer.responses[0].partitions[0].error_code),
        (0, 0)
    );
    // The next session is given what the last one gave back.
    let again = fetched(&caller, fetch(topic, 0, 10, &[], &[])).await;
    assert_eq!(again, Ok((0, vec![(2, 2)])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_connection_and_what_it_held_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 3).await;
    let given = fetched(&caller, fetch(topic, 0, 10, &[], &[])).await;
    assert_eq!(given, Ok((0, vec![(0, 2)])));
    leave(&caller).await;
    caller.broker.shares.disconnect(caller.connection + 1);
    assert_eq!(fetched(&caller, fetch(topic, 1, 10, &[], &[])).await, Ok((0, vec![])));
    caller.broker.shares.disconnect(caller.connection);
    let gone = ResponseError::ShareSessionNotFound.code();
    assert_eq!(fetched(&caller, fetch(topic, 2, 10, &[], &[])).await, Err(gone));
    let again = fetched(&caller, fetch(topic, 0, 10, &[], &[])).await;
    assert_eq!(again, Ok((0, vec![(0, 2)])));
}

async fn configure(caller: &Caller, name: &str, value: &str) {
    let change = (name.to_owned(), Some(value.to_owned()));
    caller.broker.groups.configure("g", vec![change]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_given_events_as_was_set_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, topic) = opened(folder.path(), 150).await;
    configure(&caller, configs::SHARE_WINDOW, "100").await;
    configure(&caller, configs::SHARE_DELIVERIES, "2").await;
    configure(&caller, configs::SHARE_RENEWS, "false").await;
    let first = fetched(&caller, fetch(topic, 0, 1, &[], &[RECORD_LIMIT])).await;
    assert_eq!(first, Ok((0, vec![(0, 0)])));
    let window = fetched(&caller, fetch(topic, 1, 1_000, &[], &[])).await;
    assert_eq!(window, Ok((0, vec![(1, 99)])));
    // Nobody may hold on to an event in this group.
    let invalid = ResponseError::InvalidRecordState.code();
    let renewed = fetched(&caller, fetch(topic, 2, 0, &[4], &[IS_RENEWAL])).await;
    assert_eq!(renewed, Ok((invalid, vec![])));
    // Given back for the first time it is given again, for the second time it is not.
    let again = fetched(&caller, fetch(topic, 3, 1, &[2], &[RECORD_LIMIT])).await;
    assert_eq!(again, Ok((0, vec![(0, 0)])));
    let enough = fetched(&caller, fetch(topic, 4, 1, &[2], &[RECORD_LIMIT])).await;
    assert_eq!(enough, Ok((0, vec![(100, 100)])));
    configure(&caller, configs::SHARE_LOCK, "7000").await;
    let answer = share_fetch::answer(&caller, fetch(topic, 5, 1, &[], &[]), 1).await;
    assert_eq!(answer.acquisition_lock_timeout_ms, 7_000);
}

//! Who joins a group of the `consumer` protocol says what it reads, be it nothing yet.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_may_join_with_no_topics_and_not_without_saying_so() {
    let folder = tempfile::tempdir().unwrap();
    let caller = caller(folder.path());
    let topic = || TopicName(StrBytes::from_static_str("t"));
    let (joined, refused) = (0, ResponseError::InvalidRequest.code());
    for (member, names, pattern, expected) in [
        // As the Java client subscribes by a pattern of its own.
        ("none yet", Some(Vec::new()), None, joined),
        ("names", Some(vec![topic()]), None, joined),
        ("pattern", None, Some("t.*"), joined),
        ("neither", None, None, refused),
    ] {
        let joining = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_member_id(StrBytes::from_static_str(member))
            .with_rebalance_timeout_ms(10_000)
            .with_subscribed_topic_names(names)
            .with_subscribed_topic_regex(pattern.map(StrBytes::from_static_str))
            .with_topic_partitions(Some(Vec::new()));
        let answer = consumer_group_heartbeat::answer(&caller, joining, 1).await;
        assert_eq!(answer.error_code, expected, "{member}: {answer:?}");
    }
}

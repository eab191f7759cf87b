//! What is set for a group is told, with what would hold else.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::groups::configs::*;
use crate::limits::CONFIGS_DESCRIBED_MAX;

const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;

async fn alter(caller: &Caller, operation: i8, name: &str, value: &str) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_config_operation(operation)
        .with_value(Some(StrBytes::from_string(value.to_owned())));
    let resource = AlterConfigsResource::default()
        .with_resource_type(GROUP)
        .with_resource_name(StrBytes::from_static_str("g"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = incremental_alter_configs::answer(caller, request, 1).await;
    answer.responses[0].error_code
}

async fn described(caller: &Caller, name: &str) -> DescribeConfigsResourceResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(GROUP)
        .with_resource_name(StrBytes::from_static_str("g"))
        .with_configuration_keys(Some(vec![StrBytes::from_string(name.to_owned())]));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let mut answer = describe_configs::answer(caller, request, 4).await;
    let mut configs = answer.results.remove(0).configs;
    assert_eq!(configs.len(), 1, "{name}");
    configs.remove(0)
}

/// A value, where it comes from, and everything that could hold, the first of which does.
async fn check(caller: &Caller, name: &str, value: &str, kind: i8, synonyms: &[(&str, &str, i8)]) {
    let told = described(caller, name).await;
    assert_eq!(told.value.as_deref(), Some(value), "{name}");
    assert_eq!((told.config_source, told.config_type), (synonyms[0].2, kind), "{name}");
    let told: Vec<(&str, &str, i8)> = told
        .synonyms
        .iter()
        .map(|synonym| (&*synonym.name, synonym.value.as_deref().unwrap(), synonym.source))
        .collect();
    assert_eq!(told, synonyms, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_for_a_group_is_told_with_what_would_hold_else() {
    const DYNAMIC: i8 = 8;
    const STATIC: i8 = 4;
    const DEFAULT: i8 = 5;
    const TEXT: i8 = 2;
    const INT: i8 = 3;
    const BOOLEAN: i8 = 1;
    let folder = tempfile::tempdir().unwrap();
    let mut options = KafkaOptions::default();
    options.set("group.consumer.session.timeout.ms=50000").unwrap();
    let caller = caller_with(folder.path(), options);
    let caller = &caller;
    let (session, heartbeat) = ("group.consumer.session.timeout.ms", "group.share.heartbeat.interval.ms");
    let started = [(session, "50000", STATIC), (session, "45000", DEFAULT)];
    check(caller, CONSUMER_SESSION, "50000", INT, &started).await;
    check(caller, SHARE_HEARTBEAT, "5000", INT, &[(heartbeat, "5000", DEFAULT)]).await;
    check(
        caller,
        SHARE_RENEWS,
        "true",
        BOOLEAN,
        &[(SHARE_RENEWS, "true", DEFAULT)],
    )
    .await;
    let latest = (SHARE_BEGINS, "latest", DEFAULT);
    check(caller, SHARE_BEGINS, "latest", TEXT, &[latest]).await;

    assert_eq!(alter(caller, SET, CONSUMER_SESSION, "60000").await, 0);
    assert_eq!(alter(caller, SET, SHARE_BEGINS, "earliest").await, 0);
    let all = [(CONSUMER_SESSION, "60000", DYNAMIC), started[0], started[1]];
    check(caller, CONSUMER_SESSION, "60000", INT, &all).await;
    let both = [(SHARE_BEGINS, "earliest", DYNAMIC), latest];
    check(caller, SHARE_BEGINS, "earliest", TEXT, &both).await;

    // What was set before counts: neither may the heartbeat's time grow to the session's, nor the session's be taken back below it.
    let refused = ResponseError::InvalidConfig.code();
    assert_eq!(alter(caller, SET, CONSUMER_HEARTBEAT, "60000").await, refused);
    assert_eq!(alter(caller, SET, CONSUMER_HEARTBEAT, "59999").await, 0);
    assert_eq!(alter(caller, DELETE, CONSUMER_SESSION, "").await, refused);
    assert_eq!(alter(caller, DELETE, CONSUMER_HEARTBEAT, "").await, 0);
    assert_eq!(alter(caller, DELETE, CONSUMER_SESSION, "").await, 0);
    check(caller, CONSUMER_SESSION, "50000", INT, &started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_told_at_once_and_each_of_them_once() {
    let dir = tempfile::tempdir().unwrap();
    let caller = caller_with(dir.path(), KafkaOptions::default());
    let named = |name: String| {
        DescribeConfigsResource::default()
            .with_resource_type(GROUP)
            .with_resource_name(StrBytes::from_string(name))
            .with_configuration_keys(Some(Vec::new()))
    };
    let asked = async |resources: Vec<DescribeConfigsResource>| {
        let request = DescribeConfigsRequest::default().with_resources(resources);
        let answer = describe_configs::answer(&caller, request, 4).await;
        let codes = answer.results.iter().map(|result| result.error_code);
        (answer.results.len(), codes.filter(|code| *code != 0).count())
    };
    let twice = vec![named("g".to_owned()); 50_000];
    assert_eq!(asked(twice).await, (1, 0));
    let many = |count: usize| (0..count).map(|number| named(format!("g{number}"))).collect();
    assert_eq!(asked(many(CONFIGS_DESCRIBED_MAX)).await, (CONFIGS_DESCRIBED_MAX, 0));
    assert_eq!(
        asked(many(CONFIGS_DESCRIBED_MAX + 2)).await,
        (CONFIGS_DESCRIBED_MAX + 2, 2)
    );
}

//! DescribeConfigs: how topics and the broker behave, in the names Kafka gives it. Only what is so is listed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::incremental_alter_configs::GROUP;
use crate::connection::Caller;
use crate::groups::configs;
use crate::settings::SETTINGS;

pub(super) type Request = DescribeConfigsRequest;

/// The source of a value that nobody set.
pub(super) const DYNAMIC_DEFAULT: i8 = 5;
const STATIC_BROKER: i8 = 4;
/// The source of a value that was set for a group.
const DYNAMIC_GROUP: i8 = 8;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// How every topic behaves.
pub(super) const TOPIC_CONFIGS: [(&str, &str); 7] = [
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("message.timestamp.type", "CreateTime"),
    ("min.insync.replicas", "1"),
    ("retention.bytes", "-1"),
    ("retention.ms", "-1"),
    ("unclean.leader.election.enable", "false"),
];

/// Whether a topic behaves the way a client asks for; if not, what it does instead.
pub(super) fn check_topic_config(name: &str, value: &str) -> Result<(), String> {
    match TOPIC_CONFIGS.iter().find(|(known, _)| *known == name) {
        Some((_, is)) if is.eq_ignore_ascii_case(value) => Ok(()),
        Some((_, is)) => Err(format!(
            "{name}={value} cannot be had: topics here have {name}={is}; leave it out"
        )),
        None => Err(format!("{name} cannot be set here: leave it out")),
    }
}

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| describe(caller, resource));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(caller: &Caller, resource: DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    let configs: Vec<DescribeConfigsResourceResult> = match resource.resource_type {
        TOPIC if caller.broker.log.stream(&resource.resource_name).is_some() => topic_configs(),
        TOPIC => {
            return refuse(result, ResponseError::UnknownTopicOrPartition, "there is no such topic");
        }
        BROKER
            if resource.resource_name.is_empty()
                || resource.resource_name.as_str() == caller.broker.node_id().0.to_string() =>
        {
            broker_configs(caller)
        }
        BROKER => {
            return refuse(
                result,
                ResponseError::InvalidRequest,
                "there is one broker, and it has another number",
            );
        }
        GROUP => group_configs(caller, &resource.resource_name),
        _ => {
            return refuse(
                result,
                ResponseError::InvalidRequest,
                "only topics, groups and the broker have configurations here",
            );
        }
    };
    let wanted = |config: &DescribeConfigsResourceResult| match &resource.configuration_keys {
        Some(keys) => keys.contains(&config.name),
        None => true,
    };
    result.with_configs(configs.into_iter().filter(wanted).collect())
}

fn topic_configs() -> Vec<DescribeConfigsResourceResult> {
    let config = |(name, value): (&'static str, &str)| config(name, value.to_owned(), DYNAMIC_DEFAULT);
    TOPIC_CONFIGS.into_iter().map(config).collect()
}

fn group_configs(caller: &Caller, group_id: &str) -> Vec<DescribeConfigsResourceResult> {
    let set = caller.broker.groups.configs(group_id);
    let told = |known: &configs::Config| match set.get(known.name) {
        Some(value) => config(known.name, value.clone(), DYNAMIC_GROUP).with_read_only(false),
        None => config(known.name, (known.default)(&caller.broker.options), DYNAMIC_DEFAULT).with_read_only(false),
    };
    configs::CONFIGS.iter().map(told).collect()
}

fn broker_configs(caller: &Caller) -> Vec<DescribeConfigsResourceResult> {
    let options = &caller.broker.options;
    let fixed = [
        ("broker.id", options.node_id.to_string()),
        ("default.replication.factor", "1".to_owned()),
        ("log.cleanup.policy", "delete".to_owned()),
        ("log.retention.ms", "-1".to_owned()),
    ];
    SETTINGS
        .iter()
        .map(|setting| (setting.name, (setting.value)(options)))
        .chain(fixed)
        .map(|(name, value)| config(name, value, STATIC_BROKER))
        .collect()
}

fn config(name: &'static str, value: String, source: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value)))
        .with_read_only(true)
        .with_config_source(source)
}

fn refuse(result: DescribeConfigsResult, code: ResponseError, why: &'static str) -> DescribeConfigsResult {
    result
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(why)))
}

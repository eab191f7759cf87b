//! DescribeConfigs: how topics and the broker behave, in the names Kafka gives it, with where each value comes from.

use std::collections::HashSet;

use headwater_eventlog::StreamSettings;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::task::yield_now;

use super::configs::{BROKER, DEFAULT, DYNAMIC_GROUP, DYNAMIC_TOPIC, GROUP, STATIC_BROKER, TOPIC};
use crate::KafkaOptions;
use crate::broker::Inner;
use crate::caller::Caller;
use crate::groups::configs as group_table;
use crate::limits::CONFIGS_DESCRIBED_MAX;
use crate::settings::SETTINGS;
use crate::topic_configs::{self, KINDS, Valued};

pub(super) type Request = DescribeConfigsRequest;

/// Kinds of values on the wire.
const BOOLEAN: i8 = 1;
const TEXT: i8 = 2;
const INT: i8 = 3;

/// What a client wants beside the values.
#[derive(Clone, Copy)]
struct Extras {
    synonyms: bool,
    documentation: bool,
}

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DescribeConfigsResponse {
    let extras = Extras {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    // One that is named twice is told once, as Kafka's clients make a map of them.
    let mut met: HashSet<(i8, StrBytes)> = HashSet::new();
    let is_new =
        |resource: &DescribeConfigsResource| met.insert((resource.resource_type, resource.resource_name.clone()));
    let resources: Vec<DescribeConfigsResource> = request.resources.into_iter().filter(is_new).collect();
    let mut results: Vec<DescribeConfigsResult> = Vec::with_capacity(resources.len());
    for resource in resources {
        results.push(match results.len() < CONFIGS_DESCRIBED_MAX {
            true => describe(caller, resource, extras),
            false => {
                let why = format!("the configurations of {CONFIGS_DESCRIBED_MAX} are told at once, and no more: ask again for the rest");
                refuse(unanswered(&resource), ResponseError::InvalidRequest, &why)
            }
        });
        // There may be thousands: others have their turn between them.
        yield_now().await;
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn unanswered(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_message(None)
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn describe(caller: &Caller, resource: DescribeConfigsResource, extras: Extras) -> DescribeConfigsResult {
    let result = unanswered(&resource);
    let configs: Vec<DescribeConfigsResourceResult> = match resource.resource_type {
        TOPIC => match caller.broker.log.stream(&resource.resource_name) {
            Some(info) => {
                let all = valued(caller, &info.settings);
                all.iter().map(|valued| topic_config(valued, extras)).collect()
            }
            None => return refuse(result, ResponseError::UnknownTopicOrPartition, "there is no such topic"),
        },
        BROKER
            if resource.resource_name.is_empty()
                || resource.resource_name.as_str() == caller.broker.node_id().0.to_string() =>
        {
            broker_configs(caller, extras)
        }
        BROKER => {
            let why = "there is one broker, and it has another number";
            return refuse(result, ResponseError::InvalidRequest, why);
        }
        GROUP => group_configs(caller, &resource.resource_name, extras),
        _ => {
            let why = "only topics, groups and the broker have configurations here";
            return refuse(result, ResponseError::InvalidRequest, why);
        }
    };
    let wanted = |config: &DescribeConfigsResourceResult| match &resource.configuration_keys {
        Some(keys) => keys.contains(&config.name),
        None => true,
    };
    result.with_configs(configs.into_iter().filter(wanted).collect())
}

fn topic_config(valued: &Valued, extras: Extras) -> DescribeConfigsResourceResult {
    let config = valued.config;
    let of_broker = if valued.is_started { STATIC_BROKER } else { DEFAULT };
    let source = if valued.is_set { DYNAMIC_TOPIC } else { of_broker };
    let result = described(config.name, valued.value.clone(), source, type_of(config));
    let mut synonyms: Vec<DescribeConfigsSynonym> = Vec::new();
    if extras.synonyms {
        if valued.is_set {
            synonyms.push(synonym(config.name, &valued.value, DYNAMIC_TOPIC));
        }
        if !config.broker.is_empty() {
            synonyms.push(synonym(config.broker, &valued.default, of_broker));
        }
    }
    let about = extras.documentation.then(|| StrBytes::from_static_str(config.about));
    result.with_synonyms(synonyms).with_documentation(about)
}

fn group_configs(caller: &Caller, group_id: &str, extras: Extras) -> Vec<DescribeConfigsResourceResult> {
    let set = caller.broker.groups.configs.of(group_id);
    let mut results: Vec<DescribeConfigsResourceResult> = Vec::new();
    for known in group_table::CONFIGS {
        // What holds stands first.
        let mut synonyms: Vec<DescribeConfigsSynonym> = Vec::new();
        if let Some(value) = set.get(known.name) {
            synonyms.push(synonym(known.name, value, DYNAMIC_GROUP));
        }
        let started = (known.default)(&caller.broker.options);
        let default = (known.default)(&KafkaOptions::default());
        let of_broker = known.broker.unwrap_or(known.name);
        if started != default {
            synonyms.push(synonym(of_broker, &started, STATIC_BROKER));
        }
        synonyms.push(synonym(of_broker, &default, DEFAULT));
        let (value, source) = (synonyms[0].value.clone(), synonyms[0].source);
        let kind = match known.kind {
            group_table::Kind::Begins | group_table::Kind::Isolation => TEXT,
            group_table::Kind::Switch => BOOLEAN,
            group_table::Kind::Number(..) => INT,
        };
        let value = value.as_ref().map_or_else(String::new, |value| value.to_string());
        let synonyms = if extras.synonyms { synonyms } else { Vec::new() };
        results.push(described(known.name, value, source, kind).with_synonyms(synonyms));
    }
    results
}

/// What the broker was started with, and what stands behind the defaults of topics.
fn broker_configs(caller: &Caller, extras: Extras) -> Vec<DescribeConfigsResourceResult> {
    let (options, defaults) = (&caller.broker.options, KafkaOptions::default());
    let number = |options: &KafkaOptions| options.node_id.to_string();
    let mut all: Vec<DescribeConfigsResourceResult> = Vec::new();
    let settings = SETTINGS.iter().map(|setting| (setting.name, setting.value));
    for (name, value) in settings.chain([("broker.id", number as fn(&KafkaOptions) -> String)]) {
        all.push(broker_config(name, value(options), &value(&defaults), TEXT, extras));
    }
    for valued in valued(caller, &StreamSettings::default()) {
        let name = valued.config.broker;
        if name.is_empty() || all.iter().any(|config| config.name.as_str() == name) {
            continue;
        }
        let about = extras
            .documentation
            .then(|| StrBytes::from_static_str(valued.config.about));
        let default = topic_configs::default_of(valued.config, caller.broker.log.options());
        let config = broker_config(name, valued.default, &default, type_of(valued.config), extras);
        all.push(config.with_documentation(about));
    }
    all
}

/// One of the broker: it was set where it is not what it is without.
fn broker_config(
    name: &'static str,
    value: String,
    default: &str,
    config_type: i8,
    extras: Extras,
) -> DescribeConfigsResourceResult {
    let is_set = value != default;
    let mut synonyms: Vec<DescribeConfigsSynonym> = Vec::new();
    if extras.synonyms {
        if is_set {
            synonyms.push(synonym(name, &value, STATIC_BROKER));
        }
        synonyms.push(synonym(name, default, DEFAULT));
    }
    let source = if is_set { STATIC_BROKER } else { DEFAULT };
    described(name, value, source, config_type)
        .with_read_only(true)
        .with_synonyms(synonyms)
}

/// The values of a new topic, for the answer to its creation.
pub(super) fn of_topic(caller: &Caller, name: &str) -> Vec<Valued> {
    let settings = caller.broker.log.stream(name).map(|info| info.settings);
    valued(caller, &settings.unwrap_or_default())
}

fn valued(caller: &Caller, settings: &StreamSettings) -> Vec<Valued> {
    let Inner { log, options, .. } = &*caller.broker;
    topic_configs::all(settings, &options.topic_defaults, log.options())
}

fn described(name: &'static str, value: String, source: i8, config_type: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value)))
        .with_config_source(source)
        .with_config_type(config_type)
        .with_documentation(None)
}

fn synonym(name: &'static str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value.to_owned())))
        .with_source(source)
}

fn type_of(config: &topic_configs::TopicConfig) -> i8 {
    let found = KINDS.iter().find(|(kind, _)| *kind == config.kind);
    found.map_or(0, |(_, number)| *number)
}

fn refuse(result: DescribeConfigsResult, code: ResponseError, why: &str) -> DescribeConfigsResult {
    result
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(why.to_owned())))
}

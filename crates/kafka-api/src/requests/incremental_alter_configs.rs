//! IncrementalAlterConfigs: single configurations of a topic or group set, taken back, or their lists changed; all of one's or none.

use std::collections::HashSet;

use headwater_eventlog::StreamSettings;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::configs::{self, GROUP, Refusal};
use crate::caller::Caller;
use crate::topic_configs;

pub(super) type Request = IncrementalAlterConfigsRequest;

/// What is wanted of one configuration: its name, the operation, the value.
type Wanted = (String, i8, Option<String>);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> IncrementalAlterConfigsResponse {
    let mut responses: Vec<AlterConfigsResourceResponse> = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let Refusal { code, message } = alter(caller, &resource, request.validate_only).await;
        responses.push(
            AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter(caller: &Caller, resource: &AlterConfigsResource, validate_only: bool) -> Refusal {
    let mut seen: HashSet<&str> = HashSet::new();
    if let Some(twice) = resource
        .configs
        .iter()
        .find(|config| !seen.insert(config.name.as_str()))
    {
        return Refusal::request(format!("Error due to duplicate config keys: {}", twice.name.as_str()));
    }
    let wanted: Vec<Wanted> = resource
        .configs
        .iter()
        .map(|config| {
            let value = config.value.as_ref().map(|value| value.to_string());
            (config.name.to_string(), config.config_operation, value)
        })
        .collect();
    if resource.resource_type == GROUP {
        return alter_group(caller, &resource.resource_name, wanted, validate_only).await;
    }
    let defaults = configs::defaults(caller, &resource.resource_name);
    let change = move |settings: &mut StreamSettings| {
        for (name, operation, value) in &wanted {
            let given = || {
                value
                    .as_deref()
                    .ok_or_else(|| format!("Null value not supported for {name}"))
            };
            match *operation {
                SET => topic_configs::set(settings, name, Some(given()?))?,
                // What is not there is deleted already, as in Kafka.
                DELETE if topic_configs::find(name).is_err() => {}
                DELETE => topic_configs::set_or_default(settings, name, None, &defaults)?,
                APPEND => topic_configs::change_list(settings, name, given()?, true)?,
                SUBTRACT => topic_configs::change_list(settings, name, given()?, false)?,
                other => return Err(format!("Unknown operation {other} for {name}")),
            }
        }
        Ok(())
    };
    configs::alter(
        caller,
        resource.resource_type,
        &resource.resource_name,
        validate_only,
        change,
    )
    .await
}

/// A group has no lists: its configurations are set or taken back.
async fn alter_group(caller: &Caller, group_id: &StrBytes, wanted: Vec<Wanted>, validate_only: bool) -> Refusal {
    let mut changes: Vec<(String, Option<String>)> = Vec::with_capacity(wanted.len());
    for (name, operation, value) in wanted {
        match (operation, value) {
            (SET, Some(value)) => changes.push((name, Some(value))),
            (DELETE, _) => changes.push((name, None)),
            _ => return Refusal::config(format!("{name} is no list: it can be set or deleted")),
        }
    }
    configs::alter_group(caller, group_id, changes, validate_only).await
}

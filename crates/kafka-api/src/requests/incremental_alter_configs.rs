//! IncrementalAlterConfigs: sets what can be set for a group.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::connection::Caller;
use crate::groups::{check_group_id, configs};

pub(super) type Request = IncrementalAlterConfigsRequest;

/// The kind of resource that a group is.
pub(super) const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> IncrementalAlterConfigsResponse {
    let mut responses: Vec<AlterConfigsResourceResponse> = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let altered = match resource.resource_type {
            GROUP => alter_group(caller, resource, request.validate_only).await,
            _ => Err((
                ResponseError::InvalidRequest,
                "only the configurations of groups can be altered here".to_owned(),
            )),
        };
        responses.push(match altered {
            Ok(()) => response,
            Err((code, why)) => response
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(why))),
        });
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter_group(
    caller: &Caller,
    resource: AlterConfigsResource,
    only_checked: bool,
) -> Result<(), (ResponseError, String)> {
    let group_id = resource.resource_name;
    check_group_id(&group_id)
        .map_err(|code| (code, "the group has no name, or a longer one than is taken".to_owned()))?;
    let mut changes: Vec<configs::Change> = Vec::with_capacity(resource.configs.len());
    for config in resource.configs {
        let name = config.name.to_string();
        match (config.config_operation, config.value) {
            (SET, Some(value)) => changes.push((name, Some(value.to_string()))),
            (DELETE, _) => changes.push((name, None)),
            _ => {
                let why = format!("{name} is no list: it can be set or deleted");
                return Err((ResponseError::InvalidConfig, why));
            }
        }
    }
    configs::check(&changes).map_err(|why| (ResponseError::InvalidConfig, why))?;
    if only_checked {
        return Ok(());
    }
    let configured = caller.broker.groups.configure(&group_id, changes).await;
    configured.map_err(|code| (code, "the change could not be written".to_owned()))
}

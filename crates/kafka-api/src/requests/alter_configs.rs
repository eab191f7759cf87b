//! AlterConfigs: all configurations of a topic at once; what is not named is taken back, but for those that Kafka does not have: its tools know nothing of them.

use headwater_eventlog::StreamSettings;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::configs::{self, Refusal};
use crate::caller::Caller;
use crate::topic_configs;

pub(super) type Request = AlterConfigsRequest;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> AlterConfigsResponse {
    let mut responses: Vec<AlterConfigsResourceResponse> = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let wanted: Vec<(String, Option<String>)> = resource
            .configs
            .iter()
            .map(|config| {
                (
                    config.name.to_string(),
                    config.value.as_ref().map(|value| value.to_string()),
                )
            })
            .collect();
        let defaults = configs::defaults(caller, &resource.resource_name);
        let change = move |settings: &mut StreamSettings| {
            let before = std::mem::replace(settings, defaults.clone());
            topic_configs::keep_own(settings, &before);
            for (name, value) in &wanted {
                topic_configs::set_or_default(settings, name, value.as_deref(), &defaults)?;
            }
            Ok(())
        };
        let outcome = configs::alter(
            caller,
            resource.resource_type,
            &resource.resource_name,
            request.validate_only,
            change,
        );
        let Refusal { code, message } = outcome.await;
        responses.push(
            AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

//! ListConfigResources: what has configurations here, which is topics and the broker. Version 0 asks for client metrics alone; there are none.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = ListConfigResourcesRequest;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const KNOWN: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> ListConfigResourcesResponse {
    let response = ListConfigResourcesResponse::default();
    if version == 0 {
        return response;
    }
    if request.resource_types.iter().any(|kind| !KNOWN.contains(kind)) {
        return response.with_error_code(ResponseError::UnsupportedVersion.code());
    }
    let wants = |kind: i8| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    let resource = |kind: i8, name: String| {
        ConfigResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_string(name))
    };
    let mut resources: Vec<ConfigResource> = Vec::new();
    if wants(TOPIC) {
        let topics = caller.broker.log.streams();
        resources.extend(topics.into_iter().map(|info| resource(TOPIC, info.name)));
    }
    if wants(BROKER) {
        resources.push(resource(BROKER, caller.broker.node_id().0.to_string()));
    }
    if wants(GROUP) {
        let groups = caller.broker.groups.configured();
        resources.extend(groups.into_iter().map(|id| resource(GROUP, id)));
    }
    response.with_config_resources(resources)
}

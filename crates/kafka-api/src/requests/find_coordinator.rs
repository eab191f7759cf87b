//! FindCoordinator: who keeps a group. There is one broker, so it is this one.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = FindCoordinatorRequest;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> FindCoordinatorResponse {
    let refusal: Option<(ResponseError, &str)> = match request.key_type {
        GROUP | TRANSACTION | SHARE => None,
        _ => Some((ResponseError::InvalidRequest, "there is no such kind of key")),
    };
    let (node_id, (host, port)) = match refusal {
        None => (caller.broker.node_id(), caller.broker.advertised(caller.local)),
        Some(_) => (BrokerId(-1), (StrBytes::new(), -1)),
    };
    let code = refusal.map_or(0, |(code, _)| code.code());
    let message = refusal.map(|(_, why)| StrBytes::from_static_str(why));
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_node_id(node_id)
            .with_host(host)
            .with_port(port)
            .with_error_code(code)
            .with_error_message(message);
    }
    let coordinator = |key: StrBytes| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(node_id)
            .with_host(host.clone())
            .with_port(port)
            .with_error_code(code)
            .with_error_message(message.clone())
    };
    FindCoordinatorResponse::default()
        .with_coordinators(request.coordinator_keys.into_iter().map(coordinator).collect())
}

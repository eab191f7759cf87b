//! DescribeCluster: the one broker there is.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;
use crate::operations;

pub(super) type Request = DescribeClusterRequest;

const BROKERS: i8 = 1;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> DescribeClusterResponse {
    let allowed = match request.include_cluster_authorized_operations {
        true => operations::CLUSTER,
        false => operations::NOT_ASKED,
    };
    let response = DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(StrBytes::from_string(caller.broker.cluster_id.clone()))
        .with_controller_id(caller.broker.node_id())
        .with_cluster_authorized_operations(allowed);
    if version >= 1 && request.endpoint_type != BROKERS {
        let why = "there are no controllers to connect to, only a broker";
        return response
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str(why)));
    }
    let (host, port) = caller.broker.advertised(caller.local);
    response.with_brokers(vec![
        DescribeClusterBroker::default()
            .with_broker_id(caller.broker.node_id())
            .with_host(host)
            .with_port(port),
    ])
}

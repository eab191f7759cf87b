//! Which quotas may be asked for.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DescribeClientQuotasRequest;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::protocol::StrBytes;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn quotas_of_addresses_are_asked_for_alone() {
    let folder = tempfile::tempdir().unwrap();
    let caller = caller(folder.path());
    let invalid = ResponseError::InvalidRequest.code();
    for (kinds, expected) in [
        (&["ip"][..], 0),
        (&["user", "client-id"], 0),
        (&["ip", "user"], invalid),
        (&["client-id", "ip"], invalid),
    ] {
        let any = |kind: &&'static str| {
            ComponentData::default()
                .with_entity_type(StrBytes::from_static_str(kind))
                .with_match_type(2)
                .with_match(None)
        };
        let request = DescribeClientQuotasRequest::default().with_components(kinds.iter().map(any).collect());
        let answer = describe_client_quotas::answer(&caller, request, 1).await;
        assert_eq!(answer.error_code, expected, "{kinds:?}");
    }
}

//! ApiVersions: which requests are answered, and in which versions. Since version 5 a client says which broker of which cluster it means to have
//! reached (KIP-1242): one that meant another is told to begin with its bootstrap addresses anew.

use bytes::{Buf, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::ahead;
use crate::api::{APIS, FEATURES};
use crate::caller::Caller;

pub(super) type Request = ApiVersionsRequest;

/// The later fields of the request.
const CLUSTER_ID: i32 = 2;
const NODE_ID: i32 = 3;

pub(super) async fn answer(caller: &Caller, request: Request, version: i16) -> ApiVersionsResponse {
    let names = [&request.client_software_name, &request.client_software_version];
    if version >= VERSION_SOFTWARE && !names.iter().all(|name| is_software(name)) {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    let cluster_id = ahead::later(&request.unknown_tagged_fields, CLUSTER_ID);
    let node_id = ahead::later(&request.unknown_tagged_fields, NODE_ID);
    let node_id = node_id.and_then(|bytes| bytes.as_ref().try_get_i32().ok());
    let cluster_id = cluster_id.map(Bytes::as_ref);
    let broker = &caller.broker;
    match is_meant(
        &broker.cluster_id,
        broker.node_id().0,
        cluster_id,
        node_id.unwrap_or(NO_NODE),
    ) {
        Ok(()) => versions(version),
        Err(code) => ApiVersionsResponse::default().with_error_code(code.code()),
    }
}

/// From this version on a client says which software it is, and of which version.
const VERSION_SOFTWARE: i16 = 3;

/// Whether a client's name or version is one: letters and digits, between them hyphens and dots too (KIP-511).
fn is_software(name: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(is_inner)
}

/// The node id of a client that does not know whom it means.
const NO_NODE: i32 = -1;

/// Whether a client meant to reach this broker of this cluster, or does not say.
fn is_meant(cluster: &str, node: i32, meant: Option<&[u8]>, meant_node: i32) -> Result<(), ResponseError> {
    let meant = meant.filter(|field| *field != ahead::text(None).as_ref());
    match (meant, meant_node) {
        (None, NO_NODE) => Ok(()),
        // Both are said or none.
        (None, _) | (Some(_), NO_NODE) => Err(ResponseError::InvalidRequest),
        (Some(meant), meant_node) => match meant == ahead::text(Some(cluster)).as_ref() && meant_node == node {
            true => Ok(()),
            false => Err(ResponseError::RebootstrapRequired),
        },
    }
}

/// For a version from the future: the client reads version 0, sees the error, and asks again in a version it finds.
pub(super) fn unsupported() -> ApiVersionsResponse {
    versions(0).with_error_code(ResponseError::UnsupportedVersion.code())
}

/// From this version on clients understand a feature whose lowest level is 0, as that of all of them is: before it, they fail.
const VERSION_LEVEL_0: i16 = 4;

fn versions(version: i16) -> ApiVersionsResponse {
    let line = |api: &crate::api::Api| {
        // Kafka 4 says so of Produce too, and answers from version 3 on: older librdkafka compresses nothing where version 0 is not named (KAFKA-18659).
        let version_min = if api.key == ApiKey::Produce { 0 } else { api.version_min };
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(version_min)
            .with_max_version(api.version_max)
    };
    let supported = |(name, level): &(&'static str, i16)| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_max_version(*level)
    };
    let finalized = |(name, level): &(&'static str, i16)| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    };
    ApiVersionsResponse::default()
        .with_api_keys(APIS.iter().map(line).collect())
        .with_supported_features(match version >= VERSION_LEVEL_0 {
            true => FEATURES.iter().map(supported).collect(),
            false => Vec::new(),
        })
        .with_finalized_features_epoch(0)
        .with_finalized_features(FEATURES.iter().map(finalized).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_has_a_name_and_a_version() {
        for (name, expected) in [
            ("apache-kafka-java", true),
            ("4.4.0", true),
            ("x", true),
            ("", false),
            ("-x", false),
            ("x.", false),
            ("a b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_software(name), expected, "{name}");
        }
    }

    #[test]
    fn a_client_that_meant_another_broker_begins_anew() {
        let check = |meant: Option<Option<&str>>, node: i32, expected: Result<(), ResponseError>| {
            let field = meant.map(ahead::text);
            let found = is_meant("here", 1, field.as_deref(), node);
            assert_eq!(found, expected, "{meant:?} {node}");
        };
        let (invalid, elsewhere) = (
            Err(ResponseError::InvalidRequest),
            Err(ResponseError::RebootstrapRequired),
        );
        check(None, NO_NODE, Ok(()));
        check(Some(None), NO_NODE, Ok(()));
        check(Some(Some("here")), 1, Ok(()));
        check(Some(Some("here")), 2, elsewhere);
        check(Some(Some("there")), 1, elsewhere);
        check(Some(Some("")), 1, elsewhere);
        check(Some(Some("here")), NO_NODE, invalid);
        check(Some(None), 1, invalid);
    }
}

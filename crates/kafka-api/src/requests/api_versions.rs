//! ApiVersions: which requests are answered, and in which versions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::{APIS, FEATURES};
use crate::connection::Caller;

pub(super) type Request = ApiVersionsRequest;

pub(super) async fn answer(_caller: &Caller, _request: Request, version: i16) -> ApiVersionsResponse {
    versions(version)
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

//! ApiVersions: which requests are answered, and in which versions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::api::APIS;
use crate::connection::Caller;

pub(super) type Request = ApiVersionsRequest;

pub(super) async fn answer(_caller: &Caller, _request: Request, _version: i16) -> ApiVersionsResponse {
    versions()
}

/// For a version from the future: the client reads version 0, sees the error, and asks again in a version it finds.
pub(super) fn unsupported() -> ApiVersionsResponse {
    versions().with_error_code(ResponseError::UnsupportedVersion.code())
}

fn versions() -> ApiVersionsResponse {
    let line = |api: &crate::api::Api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.version_min)
            .with_max_version(api.version_max)
    };
    ApiVersionsResponse::default().with_api_keys(APIS.iter().map(line).collect())
}

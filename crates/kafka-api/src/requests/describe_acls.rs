//! DescribeAcls: answered as by a broker without an authorizer. The door trusts whom its address lets in.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = DescribeAclsRequest;

/// What every request about ACLs is told.
pub(super) const NO_AUTHORIZER: &str = "there is no authorizer here: whoever reaches the door may do everything, keep it on an address that only trusted clients reach";

pub(super) async fn answer(_caller: &Caller, _request: Request, _version: i16) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)))
}

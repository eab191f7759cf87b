//! CreateAcls: refused as by a broker without an authorizer, as no ACL would be kept to.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::describe_acls::NO_AUTHORIZER;
use crate::caller::Caller;

pub(super) type Request = CreateAclsRequest;

pub(super) async fn answer(_caller: &Caller, request: Request, _version: i16) -> CreateAclsResponse {
    let refused = AclCreationResult::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

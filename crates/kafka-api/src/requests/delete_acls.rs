//! DeleteAcls: refused as by a broker without an authorizer; there are none.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::describe_acls::NO_AUTHORIZER;
use crate::caller::Caller;

pub(super) type Request = DeleteAclsRequest;

pub(super) async fn answer(_caller: &Caller, request: Request, _version: i16) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}

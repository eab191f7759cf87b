//! DescribeUserScramCredentials: nobody has any, as nobody logs in here.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

pub(super) type Request = DescribeUserScramCredentialsRequest;

pub(super) async fn answer(_caller: &Caller, request: Request, _version: i16) -> DescribeUserScramCredentialsResponse {
    let unknown = |name: StrBytes| {
        let why = format!("the user '{}' has no credentials: nobody logs in here", name.as_str());
        DescribeUserScramCredentialsResult::default()
            .with_user(name)
            .with_error_code(ResponseError::ResourceNotFound.code())
            .with_error_message(Some(StrBytes::from_string(why)))
    };
    let users = request
        .users
        .unwrap_or_default()
        .into_iter()
        .map(|user| unknown(user.name));
    DescribeUserScramCredentialsResponse::default()
        .with_error_message(None)
        .with_results(users.collect())
}

//! ListPartitionReassignments: nothing is ever being moved.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::caller::Caller;

pub(super) type Request = ListPartitionReassignmentsRequest;

pub(super) async fn answer(_caller: &Caller, _request: Request, _version: i16) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}

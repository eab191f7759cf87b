//! The leader epochs of partitions.

use kafka_protocol::ResponseError;

/// The only leader epoch there is: partitions never change hands.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// Whether the leader epoch that a client knows is the one there is; -1 says that it knows none.
pub(crate) fn check_leader_epoch(known: i32) -> Result<(), ResponseError> {
    match known {
        known if known > LEADER_EPOCH => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

//! What members ask a group, and what it replies.

use bytes::Bytes;
use kafka_protocol::ResponseError;

/// A way of sharing out partitions that a member knows, and what it says about itself in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// A member that wants in.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Empty for a new member.
    pub(crate) member_id: String,
    /// The id a new member gets.
    pub(crate) new_member_id: String,
    /// Whether a new member has to come back with its id before it counts.
    pub(crate) id_first: bool,
    /// Whether the client understands that it leads and need not assign.
    pub(crate) knows_skip: bool,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: u64,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
}

/// What a member is told once it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// For the leader: every member, its instance and its metadata.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

/// Why a member may not join, and the id it is to come back with where it was given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ResponseError,
    pub(crate) member_id: String,
}

/// A member that brings the assignments or asks for its own.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A member's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

/// Who leaves: by member id, or by instance where that is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
}

/// Who wanted to leave, and whether it was a member.
pub(crate) type Left = (Leaving, Result<(), ResponseError>);

/// An answer for whoever handed the token over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Joined {
        token: u64,
        joined: Result<Joined, Refused>,
    },
    Synced {
        token: u64,
        synced: Result<Synced, ResponseError>,
    },
}

impl Reply {
    pub(super) fn refuse_join(token: u64, code: ResponseError, member_id: &str) -> Reply {
        Reply::Joined {
            token,
            joined: Err(Refused {
                code,
                member_id: member_id.to_owned(),
            }),
        }
    }

    pub(super) fn refuse_sync(token: u64, code: ResponseError) -> Reply {
        Reply::Synced {
            token,
            synced: Err(code),
        }
    }
}

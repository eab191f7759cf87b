//! How far a group has got in a partition: as a client asks for it, and as it is kept.

/// A partition of a stream.
pub(crate) type Place = (String, u32);

/// What one group committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(super) committed_ms: u64,
    pub(super) expires_ms: Option<u64>,
    pub(super) stream_id: u128,
    /// Where the commit's own event stands: a later one wins.
    pub(super) at: u64,
}

/// A commit that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) stream: String,
    pub(crate) stream_id: u128,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// When it is to be forgotten, milliseconds since 1970, where the client asks for that itself.
    pub(crate) expires_ms: Option<u64>,
}

//! How groups of the consumer protocol, and share groups, are bounded.

/// How groups of the consumer protocol, and share groups, are bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) members_max: usize,
    /// A member that is silent for so long is gone.
    pub(crate) session_ms: u64,
    /// How often members are told to be heard of.
    pub(crate) heartbeat_ms: u64,
    /// A group of the consumer protocol is assigned its partitions anew no sooner after the last time.
    pub(crate) assignment_interval_ms: u64,
}

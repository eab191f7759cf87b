//! What is known of a group's member.

use bytes::Bytes;

/// A way of sharing out partitions that a member knows, and what it says about itself in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: u64,
    pub(crate) rebalance_timeout_ms: u64,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// When the member counts as gone, unless it is heard of before or waits for an answer.
    pub(crate) expires_ms: u64,
    pub(crate) waits_to_join: Option<u64>,
    pub(crate) waits_to_sync: Option<u64>,
}

impl Member {
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|known| known.name == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    pub(crate) fn heard(&mut self, now_ms: u64) {
        self.expires_ms = now_ms + self.session_timeout_ms;
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waits_to_join.is_some() || self.waits_to_sync.is_some()
    }
}

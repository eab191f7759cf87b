//! What is known of a group's member.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::exchange::{Join, Protocol, Reply};
use crate::limits::GROUP_NEW_MEMBER_WAIT_MS_MAX;

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
    /// It has not been told its id yet: it cannot give a sign of life, and does not wait forever either.
    pub(super) is_new: bool,
    /// It was kept over a restart and has not been heard of since: its instance may have got another id that was not kept.
    pub(super) is_restored: bool,
    /// When the member counts as gone, unless it is heard of before or waits for an answer.
    pub(super) expires_ms: u64,
    pub(super) waits_to_join: Option<u64>,
    pub(super) waits_to_sync: Option<u64>,
}

impl Member {
    /// A member that nobody has answered yet.
    pub(super) fn new(join: Join, token: u64, now_ms: u64) -> Member {
        Member {
            instance: join.instance,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
            assignment: Bytes::new(),
            is_new: true,
            is_restored: false,
            expires_ms: now_ms + GROUP_NEW_MEMBER_WAIT_MS_MAX,
            waits_to_join: Some(token),
            waits_to_sync: None,
        }
    }

    /// A member that was in a group of another protocol; the rest is filled in by who knows it.
    pub(crate) fn settled(session_timeout_ms: u64, protocols: Vec<Protocol>, now_ms: u64) -> Member {
        Member {
            instance: None,
            client_id: String::new(),
            client_host: String::new(),
            session_timeout_ms,
            rebalance_timeout_ms: session_timeout_ms,
            protocols,
            assignment: Bytes::new(),
            is_new: false,
            is_restored: false,
            expires_ms: now_ms + session_timeout_ms,
            waits_to_join: None,
            waits_to_sync: None,
        }
    }

    /// Takes over what a member says of itself when it joins again.
    pub(super) fn update(&mut self, join: Join) {
        self.protocols = join.protocols;
        self.session_timeout_ms = join.session_timeout_ms;
        self.rebalance_timeout_ms = join.rebalance_timeout_ms;
        self.client_id = join.client_id;
        self.client_host = join.client_host;
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|known| known.name == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    pub(super) fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    pub(super) fn heard(&mut self, now_ms: u64) {
        self.is_restored = false;
        self.expires_ms = now_ms + self.session_timeout_ms;
    }

    /// Whether the member's silence may end its membership: who waits for an answer cannot speak.
    pub(super) fn can_expire(&self) -> bool {
        self.is_new || (self.waits_to_join.is_none() && self.waits_to_sync.is_none())
    }

    /// Tells whoever waits in this member's name that it waits in vain.
    pub(super) fn dismiss(&mut self, member_id: &str, code: ResponseError, replies: &mut Vec<Reply>) {
        if let Some(token) = self.waits_to_join.take() {
            replies.push(Reply::refuse_join(token, code, member_id));
        }
        if let Some(token) = self.waits_to_sync.take() {
            replies.push(Reply::refuse_sync(token, code));
        }
    }
}

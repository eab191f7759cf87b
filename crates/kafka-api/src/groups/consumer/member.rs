//! What is known of a member of a group of the consumer protocol.

use std::collections::BTreeSet;

use super::Rules;
use crate::groups::assignors::Assignor;
use crate::groups::classic::Protocol;
use crate::groups::partitions::Partitions;

/// The epoch with which a member asks to join.
pub(crate) const JOIN: i32 = 0;
/// The epoch with which a member leaves.
pub(crate) const LEAVE: i32 = -1;
/// The epoch with which an instance says that it will be back.
pub(crate) const LEAVE_FOR_NOW: i32 = -2;

/// How far a member is on the way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has what it shall have at its epoch.
    Stable,
    /// It was told to give partitions up and has not said that it did.
    Unrevoked,
    /// It shall have partitions that others still hold.
    Unreleased,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<Assignor>,
    pub(crate) epoch: i32,
    pub(super) previous_epoch: i32,
    pub(super) progress: Progress,
    /// What it may read now.
    pub(crate) assigned: Partitions,
    /// What it has to give up.
    pub(super) revoking: Partitions,
    /// What it shall have.
    pub(crate) target: Partitions,
    /// When it counts as gone unless it is heard of before.
    pub(super) expires_ms: u64,
    /// When it must have given up what it has to.
    pub(super) revoked_by_ms: Option<u64>,
    /// Where it speaks the classic protocol: what that needs.
    pub(crate) classic: Option<Classic>,
}

/// What is known of a member that speaks the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classic {
    pub(super) session_timeout_ms: u64,
    /// In the member's order of preference.
    pub(super) protocols: Vec<Protocol>,
    /// It was told to join again, and has until then.
    pub(super) join_by_ms: Option<u64>,
    /// It joined, and has until then to ask for its share.
    pub(super) sync_by_ms: Option<u64>,
}

impl Member {
    pub(super) fn new(rules: Rules, now_ms: u64) -> Member {
        Member {
            instance: None,
            rack: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout_ms: 0,
            topics: BTreeSet::new(),
            regex: None,
            assignor: None,
            epoch: JOIN,
            previous_epoch: JOIN,
            progress: Progress::Stable,
            assigned: Partitions::default(),
            revoking: Partitions::default(),
            target: Partitions::default(),
            expires_ms: now_ms + rules.session_ms,
            revoked_by_ms: None,
            classic: None,
        }
    }

    /// Whether it has what the assignment of an epoch gives it.
    pub(super) fn is_settled_in(&self, epoch: i32) -> bool {
        self.progress == Progress::Stable && self.epoch == epoch
    }

    pub(super) fn enter(&mut self, epoch: i32) {
        if epoch != self.epoch {
            self.previous_epoch = self.epoch;
            self.epoch = epoch;
        }
    }

    /// Everything that nobody else may have while this member is in.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u128, u32)> + '_ {
        self.assigned.iter().chain(self.revoking.iter())
    }
}

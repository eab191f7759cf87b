//! The state machine of one group of the consumer protocol (KIP-848): a member says with each heartbeat what it wants and what
//! it has, and is told what it may read. It knows no clock and no socket.
//!
//! ```text
//! a subscription or a topic changes, a member comes or goes     -> the group's epoch grows
//! the group's epoch is above the assignment's                   -> everybody's target is computed anew
//! a member's epoch is below the assignment's                    -> it is led to its target, step by step
//!
//! heartbeat.rs     one heartbeat: join, go on, leave
//! reconcile.rs     a member's way from what it has to what it shall have
//! subscription.rs  names and patterns
//! target.rs        who shall have what
//! mixed.rs         members of the classic protocol among the others
//! time.rs          sessions, and partitions that are not given up
//! stored.rs        what is kept over restarts
//! ```
//!
//! Invariants
//! - A partition is held by at most one member: it is assigned only when nobody else has it or still has to give it up.
//! - A member's epoch is never above the assignment's, the assignment's never above the group's.
//! - What a member is told is what is kept.

mod heartbeat;
mod member;
mod mixed;
mod reconcile;
mod rules;
mod stored;
mod subscription;
mod target;
mod time;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kafka_protocol::ResponseError;

pub(crate) use heartbeat::{Beat, Heartbeat, Refusal};
pub(crate) use member::{JOIN, LEAVE, LEAVE_FOR_NOW, Member};
pub(crate) use mixed::Unfit;
pub(crate) use rules::Rules;
pub(crate) use stored::{StoredGroup, StoredMember};

use super::changes::Changes;
use super::topics::Topic;

/// The epoch of a group that nobody has joined: above 0, which is a member's that is about to, and what Kafka begins with.
pub(crate) const FIRST_EPOCH: i32 = 1;

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    rules: Rules,
    epoch: i32,
    assignment_epoch: i32,
    /// When that was; not known after a restart, and of no account in a group that nobody was in since.
    assigned_ms: Option<u64>,
    members: BTreeMap<String, Member>,
    /// The member that an instance is at the moment.
    instances: BTreeMap<String, String>,
    /// The topics that members read, as they were when the epoch last grew.
    topics: BTreeMap<String, Topic>,
    /// What the members' patterns choose.
    chosen: BTreeMap<String, Arc<BTreeSet<String>>>,
    /// The version of the topics that was looked at last; 0: none, or members came or went since.
    topics_version: u64,
    /// Who holds a partition.
    holders: HashMap<(u128, u32), String>,
    changes: Changes,
}

impl Group {
    pub(crate) fn new(rules: Rules) -> Group {
        Group {
            rules,
            epoch: FIRST_EPOCH,
            assignment_epoch: FIRST_EPOCH,
            assigned_ms: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            topics: BTreeMap::new(),
            chosen: BTreeMap::new(),
            topics_version: 0,
            holders: HashMap::new(),
            changes: Changes::default(),
        }
    }

    /// The group is bounded otherwise from its next heartbeat on.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The state's name on the wire.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self
            .members
            .values()
            .all(|member| member.is_settled_in(self.assignment_epoch))
        {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(id, member)| (id.as_str(), member))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What changed since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// The topics that some member reads.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<String> {
        let mut topics: BTreeSet<String> = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(member.topics.iter().cloned());
            let chosen = member.regex.as_ref().and_then(|regex| self.chosen.get(regex));
            topics.extend(chosen.into_iter().flat_map(|chosen| chosen.iter().cloned()));
        }
        topics
    }

    /// Whether a member may commit positions in its epoch.
    pub(crate) fn may_commit(&self, member_id: &str, epoch: i32) -> Result<(), ResponseError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_epoch(member_id, epoch)
    }

    /// Whether somebody may ask for positions: who names no member may.
    pub(crate) fn may_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        match member_id {
            None if epoch < 0 => Ok(()),
            member_id => self.check_epoch(member_id.unwrap_or_default(), epoch),
        }
    }

    fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), ResponseError> {
        let member = self.members.get(member_id).ok_or(ResponseError::UnknownMemberId)?;
        match (member.epoch == epoch, &member.classic) {
            (true, _) => Ok(()),
            (false, None) => Err(ResponseError::StaleMemberEpoch),
            (false, Some(_)) => Err(ResponseError::IllegalGeneration),
        }
    }

    /// Whether a member speaks the classic protocol.
    pub(crate) fn is_classic(&self, member_id: &str) -> bool {
        self.members
            .get(member_id)
            .is_some_and(|member| member.classic.is_some())
    }

    /// A member is gone; the others get what it had.
    fn remove(&mut self, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else {
            return;
        };
        for place in member.held() {
            self.holders.remove(&place);
        }
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.members.is_empty() {
            self.assigned_ms = None;
        }
        self.changes.member(member_id);
        self.grow();
    }

    fn grow(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.topics_version = 0;
        self.changes.group = true;
    }
}

#[cfg(test)]
mod tests;

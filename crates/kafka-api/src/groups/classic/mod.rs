//! The state machine of one group of the classic protocol: from what happened and the moment to the replies that are due. It knows no clock and no socket.
//!
//! ```text
//!           a member joins                all have joined, or the time for it is over
//! Empty ----------------> PreparingRebalance ------------------------> CompletingRebalance
//!   ^                       ^        ^    |  nobody is left                 |
//!   |                       |        |    +---------------> Empty           | the leader's assignment is there
//!   |                       |        |                                      v
//!   +-- the last one leaves-|--------+------ a member joins, leaves ----- Stable
//!                           +--------------- or falls silent ---------------+
//!
//! join.rs       who comes in, comes back, or takes an instance's place
//! sync.rs       who brings the assignments and who asks for its own
//! leave.rs      who goes
//! rebalance.rs  everybody joins again; the next generation
//! time.rs       sessions, and what ends when its time is over
//! stored.rs     what is kept over restarts
//! ```
//!
//! Invariants
//! - A reply names a token that some member handed over and that was not answered before; every token is answered once.
//! - The generation grows with every completed join; an assignment belongs to exactly one generation.
//! - The leader is a member, and every member knows the chosen protocol.
//!
//! Source: Kafka's group membership protocol, KIP-62 (sessions), KIP-345 and KIP-814 (static members), KIP-394 (member ids first).

mod exchange;
mod join;
mod leave;
mod member;
mod rebalance;
mod stored;
mod sync;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

pub(crate) use exchange::{Join, Joined, Leaving, Left, Protocol, Refused, Reply, Sync, Synced};
pub(crate) use member::Member;
pub(crate) use stored::{CONSUMERS, StoredGroup, StoredMember, StoredProtocol};

use super::changes::Changes;
use rebalance::FirstRebalance;

/// What a group does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    /// The state's name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// How groups of the classic protocol are bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) members_max: usize,
    /// How long a group that was empty waits for more members.
    pub(crate) initial_delay_ms: u64,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    rules: Rules,
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Ids given out and not yet come back with: until when they are waited for.
    pending: BTreeMap<String, u64>,
    /// The member that an instance is at the moment.
    instances: BTreeMap<String, String>,
    /// When a rebalance stops waiting for members.
    join_due_ms: Option<u64>,
    first_rebalance: Option<FirstRebalance>,
    /// Members of this generation that have not asked for their share, and when they are no longer waited for.
    unsynced: BTreeSet<String>,
    sync_due_ms: Option<u64>,
    /// Milliseconds since 1970.
    state_since_ms: u64,
    changes: Changes,
}

impl Group {
    pub(crate) fn new(rules: Rules) -> Group {
        Group {
            rules,
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            instances: BTreeMap::new(),
            join_due_ms: None,
            first_rebalance: None,
            unsynced: BTreeSet::new(),
            sync_due_ms: None,
            state_since_ms: 0,
            changes: Changes::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn state_since_ms(&self) -> u64 {
        self.state_since_ms
    }

    /// What kind of members these are; empty where nobody ever joined.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The chosen protocol; empty before the first choice.
    pub(crate) fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or_default()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(id, member)| (id.as_str(), member))
    }

    /// Whether nobody is in and nobody is on the way in.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// Whether this is a state that can be gone back to after a restart.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Empty | State::Stable)
    }

    /// What changed since the group was last in a state that can be gone back to after a restart, once it is in one again:
    /// in the middle of a rebalance the generation before it is what counts.
    pub(crate) fn take_changes(&mut self) -> Changes {
        match self.is_at_rest() && self.changes.group {
            true => std::mem::take(&mut self.changes),
            false => Changes::default(),
        }
    }

    /// Everything that changed, in the middle of a rebalance too: for who takes the group over.
    pub(crate) fn drain_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// A group of members that were in one of another protocol. All have to join again.
    pub(crate) fn adopt(rules: Rules, generation: i32, members: BTreeMap<String, Member>, now_ms: u64) -> Group {
        let mut group = Group::new(rules);
        group.generation = generation;
        group.protocol_type = Some(CONSUMERS.to_owned());
        group.leader = members.keys().next().cloned();
        for (id, member) in &members {
            if let Some(instance) = &member.instance {
                group.instances.insert(instance.clone(), id.clone());
            }
        }
        group.members = members;
        group.protocol = group.choose_protocol();
        group.state = State::Stable;
        // Nobody waits yet.
        group.prepare(now_ms, &mut Vec::new());
        group
    }

    /// Tells whoever waits for an answer to join again.
    pub(crate) fn dismiss_all(&mut self) -> Vec<Reply> {
        let mut replies: Vec<Reply> = Vec::new();
        for (member_id, member) in &mut self.members {
            member.dismiss(member_id, ResponseError::RebalanceInProgress, &mut replies);
        }
        replies
    }

    /// A sign of life.
    pub(crate) fn heartbeat(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        self.check_generation(member_id, instance, generation)?;
        self.heard(member_id, now_ms);
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether a member may commit positions; in a transaction the group's phase does not matter.
    pub(crate) fn may_commit(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        in_transaction: bool,
        now_ms: u64,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance.is_some() {
            self.check_generation(member_id, instance, generation)?;
        } else if !in_transaction {
            return Err(ResponseError::UnknownMemberId);
        }
        if in_transaction {
            return Ok(());
        }
        self.heard(member_id, now_ms);
        match self.state {
            // Its join was answered, its share is not known yet: what it commits may be another's by now.
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn check_member(&self, member_id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(known) if known != member_id => return Err(self.other_instance(known)),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ResponseError::UnknownMemberId),
        }
    }

    /// What somebody is told who names an instance that is another member. Being fenced ends a client for good: that is for those of whom another one
    /// took the place. After a restart in the middle of a rebalance it may be this one that is new, and the known one its own older self.
    fn other_instance(&self, known: &str) -> ResponseError {
        match self.members.get(known).is_some_and(|member| member.is_restored) {
            true => ResponseError::UnknownMemberId,
            false => ResponseError::FencedInstanceId,
        }
    }

    fn check_generation(&self, member_id: &str, instance: Option<&str>, generation: i32) -> Result<(), ResponseError> {
        self.check_member(member_id, instance)?;
        match generation == self.generation {
            true => Ok(()),
            false => Err(ResponseError::IllegalGeneration),
        }
    }

    fn members_where(&self, holds: impl Fn(&Member) -> bool) -> Vec<String> {
        let chosen = self.members.iter().filter(|(_, member)| holds(member));
        chosen.map(|(id, _)| id.clone()).collect()
    }

    fn heard(&mut self, member_id: &str, now_ms: u64) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now_ms);
        }
    }

    fn enter(&mut self, state: State, now_ms: u64) {
        self.state = state;
        self.state_since_ms = now_ms;
    }
}

#[cfg(test)]
mod tests;

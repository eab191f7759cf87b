//! A group in memory: its state machine, who waits for it, and what of it is not written down yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use headwater_records::Event;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::changes::Changes;
use super::classic::{Group, Joined, Refused, Reply, Synced};
use super::ledger::{StoredGroup, StoredMember};
use super::topics::Topics;
use super::{Rules, classic, consumer, ledger, share};
use crate::limits::GROUP_RETRY_MS;
use crate::own_streams::{BrokerError, GROUPS_STREAM, Unwritten};

/// A group and who waits for it.
pub(super) struct Slot {
    pub(super) kind: Kind,
    waiting: HashMap<u64, Waiter>,
    next_token: u64,
    /// What could not be written when it was due.
    pub(super) unsaved: Changes,
    /// Steps that are being written.
    writing: usize,
    /// Whether somebody was told of what is not written.
    owes: bool,
    /// When what could not be written is tried again.
    retry_ms: Option<u64>,
    /// Whether the stream of groups may know of it.
    written: bool,
}

/// Which protocol the group speaks.
pub(super) enum Kind {
    Classic(Group),
    Consumer(consumer::Group),
    Share(share::Group),
}

pub(super) enum Waiter {
    Join(oneshot::Sender<Result<Joined, Refused>>),
    Sync(oneshot::Sender<Result<Synced, ResponseError>>),
}

/// A reply on its way to who waits for it.
pub(super) enum Delivery {
    Joined(oneshot::Sender<Result<Joined, Refused>>, Result<Joined, Refused>),
    Synced(
        oneshot::Sender<Result<Synced, ResponseError>>,
        Result<Synced, ResponseError>,
    ),
    /// Somebody has his answer, and waits until it may be told.
    Told(oneshot::Sender<Result<(), ResponseError>>),
    /// Somebody wants to know that what changed is durable.
    Saved(oneshot::Sender<Result<(), ResponseError>>),
}

impl Delivery {
    /// Sends the reply, or the reason why it does not hold; on a full disk who is a member is told from memory. Who has gone meanwhile is not missed
    /// here: its session runs out.
    pub(super) fn send(self, outcome: Result<(), Unwritten>) {
        let outcome = match (&self, outcome) {
            (Delivery::Saved(_), outcome) => outcome,
            (_, Err(Unwritten::Full)) => Ok(()),
            (_, outcome) => outcome,
        };
        match (self, outcome.map_err(Unwritten::code)) {
            (Delivery::Joined(sender, joined), Ok(())) => drop(sender.send(joined)),
            (Delivery::Joined(sender, joined), Err(code)) => {
                let member_id = joined.map_or_else(|refused| refused.member_id, |joined| joined.member_id);
                drop(sender.send(Err(Refused { code, member_id })));
            }
            (Delivery::Synced(sender, synced), outcome) => drop(sender.send(outcome.and(synced))),
            (Delivery::Told(sender) | Delivery::Saved(sender), outcome) => drop(sender.send(outcome)),
        }
    }
}

impl Slot {
    pub(super) fn new(kind: Kind) -> Slot {
        Slot {
            kind,
            waiting: HashMap::new(),
            next_token: 0,
            unsaved: Changes::default(),
            writing: 0,
            owes: false,
            retry_ms: None,
            written: false,
        }
    }

    /// A group as it was kept.
    pub(super) fn restore(
        group_id: &str,
        group: StoredGroup,
        members: BTreeMap<String, StoredMember>,
        rules: &Rules,
        now_ms: u64,
    ) -> Result<Slot, BrokerError> {
        let mixed = |member_id: &str| BrokerError::Read {
            stream: GROUPS_STREAM,
            why: format!("the group '{group_id}' and its member '{member_id}' are of different protocols"),
        };
        let kind = match group {
            StoredGroup::Classic(group) => {
                let mut of_kind: BTreeMap<String, classic::StoredMember> = BTreeMap::new();
                for (id, member) in members {
                    let StoredMember::Classic(member) = member else {
                        return Err(mixed(&id));
                    };
                    of_kind.insert(id, member);
                }
                Kind::Classic(Group::restore(rules.classic, group, of_kind, now_ms))
            }
            StoredGroup::Consumer(group) => {
                let mut of_kind: BTreeMap<String, consumer::StoredMember> = BTreeMap::new();
                for (id, member) in members {
                    let StoredMember::Consumer(member) = member else {
                        return Err(mixed(&id));
                    };
                    of_kind.insert(id, member);
                }
                Kind::Consumer(consumer::Group::restore(rules.consumer, group, of_kind, now_ms))
            }
            StoredGroup::Share(group) => {
                let mut of_kind: BTreeMap<String, share::StoredMember> = BTreeMap::new();
                for (id, member) in members {
                    let StoredMember::Share(member) = member else {
                        return Err(mixed(&id));
                    };
                    of_kind.insert(id, member);
                }
                Kind::Share(share::Group::restore(rules.share, group, of_kind, now_ms))
            }
        };
        Ok(Slot {
            written: true,
            ..Slot::new(kind)
        })
    }

    /// Turns an empty group of one protocol into one of another.
    pub(super) fn become_kind(&mut self, kind: Kind) {
        self.kind = kind;
        self.unsaved.group = true;
    }

    /// Turns a group of the classic protocol, at whose door a member of the consumer protocol stands, into one of that;
    /// whether that can be, and what those are told who wait.
    pub(super) fn upgrade(
        &mut self,
        rules: &Rules,
        topics: &Topics,
        now_ms: u64,
    ) -> Result<Vec<Delivery>, consumer::Unfit> {
        let Kind::Classic(group) = &mut self.kind else {
            return Ok(Vec::new());
        };
        let upgraded = consumer::Group::from_classic(rules.consumer, group, topics, now_ms)?;
        let replies = group.dismiss_all();
        self.become_kind(Kind::Consumer(upgraded));
        Ok(self.address(replies))
    }

    /// Whether this is a group of the consumer protocol in which only members of the classic protocol are left.
    pub(super) fn speaks_classic(&self) -> bool {
        matches!(&self.kind, Kind::Consumer(group) if group.speaks_classic())
    }

    /// Turns such a group into one of the classic protocol. What is kept says otherwise until the members have joined again:
    /// after a restart before that, the group is what it was.
    pub(super) fn downgrade(&mut self, rules: &Rules, topics: &Topics, now_ms: u64) {
        if let Kind::Consumer(group) = &mut self.kind {
            let downgraded = group.to_classic(rules.classic, topics, now_ms);
            self.unsaved.merge(group.take_changes());
            self.become_kind(Kind::Classic(downgraded));
        }
    }

    /// A token under which a reply is waited for.
    pub(super) fn wait(&mut self, waiter: Waiter) -> u64 {
        self.next_token += 1;
        self.waiting.insert(self.next_token, waiter);
        self.next_token
    }

    /// Lets a group of the classic protocol decide, and finds who waits for its replies.
    pub(super) fn with_classic(&mut self, decide: impl FnOnce(&mut Group) -> Vec<Reply>) -> Vec<Delivery> {
        match &mut self.kind {
            Kind::Classic(group) => {
                let replies = decide(group);
                self.address(replies)
            }
            Kind::Consumer(_) | Kind::Share(_) => Vec::new(),
        }
    }

    /// Finds who waits for each reply.
    pub(super) fn address(&mut self, replies: Vec<Reply>) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = Vec::with_capacity(replies.len());
        for reply in replies {
            match reply {
                Reply::Joined { token, joined } => {
                    if let Some(Waiter::Join(sender)) = self.waiting.remove(&token) {
                        deliveries.push(Delivery::Joined(sender, joined));
                    }
                }
                Reply::Synced { token, synced } => {
                    if let Some(Waiter::Sync(sender)) = self.waiting.remove(&token) {
                        deliveries.push(Delivery::Synced(sender, synced));
                    }
                }
            }
        }
        deliveries
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        let due_ms = match &self.kind {
            Kind::Classic(group) => group.due_ms(),
            Kind::Consumer(group) => group.due_ms(),
            Kind::Share(group) => group.due_ms(),
        };
        [due_ms, self.retry_ms].into_iter().flatten().min()
    }

    /// Whether somebody was told of what is not written.
    pub(super) fn owes(&self) -> bool {
        self.owes
    }

    /// A step was written, or was not.
    pub(super) fn wrote(&mut self, changes: Changes, outcome: Result<(), Unwritten>, now_ms: u64) {
        self.writing -= 1;
        if outcome.is_err() {
            self.unsaved.merge(changes);
        }
        if outcome == Err(Unwritten::Full) {
            self.owes = true;
            self.retry_ms = Some(now_ms + GROUP_RETRY_MS);
        }
        self.owes &= !self.unsaved.is_empty() || self.writing > 0;
    }

    /// Whether nobody is in and nobody is on the way in.
    pub(super) fn is_idle(&self) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.is_idle(),
            Kind::Consumer(group) => group.is_empty(),
            Kind::Share(group) => group.is_empty(),
        }
    }

    /// Whether nothing of it was ever written down.
    pub(super) fn is_unwritten(&self) -> bool {
        !self.written
    }

    pub(super) fn member_ids(&self) -> BTreeSet<String> {
        match &self.kind {
            Kind::Classic(group) => group.members().map(|(id, _)| id.to_owned()).collect(),
            Kind::Consumer(group) => group.members().map(|(id, _)| id.to_owned()).collect(),
            Kind::Share(group) => group.members().map(|(id, _)| id.to_owned()).collect(),
        }
    }

    pub(super) fn take_changes(&mut self) -> Changes {
        self.retry_ms = None;
        let mut changes = match &mut self.kind {
            Kind::Classic(group) => group.take_changes(),
            Kind::Consumer(group) => group.take_changes(),
            Kind::Share(group) => group.take_changes(),
        };
        if !changes.is_empty() || self.is_at_rest() {
            changes.merge(std::mem::take(&mut self.unsaved));
        }
        changes
    }

    fn is_at_rest(&self) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.is_at_rest(),
            Kind::Consumer(_) | Kind::Share(_) => true,
        }
    }

    /// The events that write down what changed; what becomes of them is to be said ([`Slot::wrote`]).
    pub(super) fn events(&mut self, group_id: &str, changes: &Changes, now_ms: u64) -> serde_json::Result<Vec<Event>> {
        let mut events: Vec<Event> = Vec::with_capacity(changes.members.len() + 1);
        if changes.group {
            let group = match &self.kind {
                Kind::Classic(group) => StoredGroup::Classic(group.stored_group()),
                Kind::Consumer(group) => StoredGroup::Consumer(group.stored_group()),
                Kind::Share(group) => StoredGroup::Share(group.stored_group()),
            };
            events.push(ledger::group_event(group_id, Some(&group), now_ms)?);
        }
        for member_id in &changes.members {
            let member = match &self.kind {
                Kind::Classic(group) => group.stored_member(member_id).map(StoredMember::Classic),
                Kind::Consumer(group) => group.stored_member(member_id).map(StoredMember::Consumer),
                Kind::Share(group) => group.stored_member(member_id).map(StoredMember::Share),
            };
            events.push(ledger::member_event(group_id, member_id, member.as_ref(), now_ms)?);
        }
        self.written = true;
        self.writing += 1;
        Ok(events)
    }
}

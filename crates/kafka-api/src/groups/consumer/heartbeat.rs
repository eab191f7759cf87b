//! One heartbeat: a member joins, goes on, or leaves, and learns what it may read.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;

use super::Group;
use super::member::{Classic, JOIN, LEAVE, LEAVE_FOR_NOW, Member, Progress};
use super::reconcile::reconcile;
use crate::groups::assignors::Assignor;
use crate::groups::classic::{Leaving, Left};
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;

/// What a member says. What did not change since the last heartbeat may be left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) rebalance_timeout_ms: Option<u64>,
    pub(crate) topics: Option<BTreeSet<String>>,
    /// Empty: no pattern any more.
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<Partitions>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) heartbeat_ms: u64,
    /// What it may read, where that changed or it asked.
    pub(crate) assignment: Option<Partitions>,
}

/// Why a heartbeat is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
        }
    }
}

impl Group {
    /// Takes a heartbeat whose form was checked.
    pub(crate) fn heartbeat(&mut self, beat: Heartbeat, topics: &Topics, now_ms: u64) -> Result<Beat, Refusal> {
        if beat.epoch == LEAVE || beat.epoch == LEAVE_FOR_NOW {
            return self.leave(&beat);
        }
        let assignor = read_assignor(beat.assignor.as_deref())?;
        if let Some(pattern) = beat.regex.as_deref().filter(|pattern| !pattern.is_empty()) {
            let invalid = |why| Refusal::new(ResponseError::InvalidRegularExpression, why);
            topics.chosen_by(pattern).map_err(invalid)?;
        }
        let preferred = self.preferred_assignor();
        let new = self.admit(&beat, now_ms)?;
        let subscription_changed = self.update(&beat, assignor, None, now_ms);
        let has_to_assign = new || subscription_changed || self.preferred_assignor() != preferred;
        self.look_at_topics(topics, has_to_assign);
        self.assign(now_ms);
        let before = self.members.get(&beat.member_id).map(|member| member.assigned.clone());
        self.lead_on(&beat.member_id, beat.owned.as_ref(), now_ms);
        let Some(member) = self.members.get(&beat.member_id) else {
            return Err(Refusal::new(
                ResponseError::UnknownServerError,
                "the member is not there",
            ));
        };
        let is_whole = beat.rebalance_timeout_ms.is_some()
            && (beat.topics.is_some() || beat.regex.is_some())
            && beat.owned.is_some();
        let tells = beat.epoch == JOIN || is_whole || before.as_ref() != Some(&member.assigned);
        Ok(Beat {
            member_id: beat.member_id,
            epoch: member.epoch,
            heartbeat_ms: self.rules.heartbeat_ms,
            assignment: tells.then(|| member.assigned.clone()),
        })
    }

    /// Finds the member, or takes it in; whether it is new.
    fn admit(&mut self, beat: &Heartbeat, now_ms: u64) -> Result<bool, Refusal> {
        if let Some(instance) = &beat.instance {
            let known = self.instances.get(instance).cloned();
            match known {
                Some(known) if known != beat.member_id => return self.admit_instance(&known, instance, beat),
                None if beat.epoch != JOIN => return Err(unknown_member()),
                _ => {}
            }
        }
        let count = self.members.len();
        match self.members.get_mut(&beat.member_id) {
            Some(member) => {
                check_epoch(member, beat)?;
                if beat.epoch == JOIN && member.epoch != JOIN {
                    // It starts from nothing: what it had is free.
                    for place in member.held().collect::<Vec<_>>() {
                        self.holders.remove(&place);
                    }
                    member.assigned = Partitions::default();
                    member.revoking = Partitions::default();
                    member.progress = Progress::Unreleased;
                    self.changes.member(&beat.member_id);
                }
                Ok(false)
            }
            None if beat.epoch != JOIN => Err(unknown_member()),
            None if count >= self.rules.members_max => Err(Refusal::new(
                ResponseError::GroupMaxSizeReached,
                format!("the group has {count} members, as many as are allowed"),
            )),
            None => {
                self.members
                    .insert(beat.member_id.clone(), Member::new(self.rules, now_ms));
                Ok(true)
            }
        }
    }

    /// An instance is back under a new id: it takes its old place, if the old one has gone or left for now.
    fn admit_instance(&mut self, old_id: &str, instance: &str, beat: &Heartbeat) -> Result<bool, Refusal> {
        if beat.epoch != JOIN {
            return Err(Refusal::new(
                ResponseError::FencedInstanceId,
                format!("the instance '{instance}' is the member '{old_id}' by now"),
            ));
        }
        // One that speaks the classic protocol says nothing when it is only restarted.
        let may_go = |member: &Member| member.epoch == LEAVE_FOR_NOW || member.classic.is_some();
        let left = self.members.get(old_id).is_none_or(may_go);
        if !left {
            return Err(Refusal::new(
                ResponseError::UnreleasedInstanceId,
                format!("the instance '{instance}' is the member '{old_id}', which has not left"),
            ));
        }
        self.move_member(old_id, &beat.member_id);
        self.instances.insert(instance.to_owned(), beat.member_id.clone());
        Ok(false)
    }

    /// A member goes on under another id, with all that it has, from the beginning.
    pub(super) fn move_member(&mut self, old_id: &str, member_id: &str) {
        if let Some(mut member) = self.members.remove(old_id) {
            for place in member.held() {
                self.holders.insert(place, member_id.to_owned());
            }
            member.epoch = JOIN;
            member.previous_epoch = JOIN;
            self.members.insert(member_id.to_owned(), member);
        }
        self.changes.member(old_id);
        self.changes.member(member_id);
    }

    /// Takes over what the member says of itself; whether it reads other topics now.
    pub(super) fn update(
        &mut self,
        beat: &Heartbeat,
        assignor: Option<Assignor>,
        classic: Option<Classic>,
        now_ms: u64,
    ) -> bool {
        let Some(member) = self.members.get_mut(&beat.member_id) else {
            return false;
        };
        let before = member.clone();
        if let Some(instance) = &beat.instance {
            member.instance = Some(instance.clone());
            self.instances.insert(instance.clone(), beat.member_id.clone());
        }
        if let Some(rack) = &beat.rack {
            member.rack = Some(rack.clone());
        }
        if let Some(timeout_ms) = beat.rebalance_timeout_ms {
            member.rebalance_timeout_ms = timeout_ms;
        }
        if let Some(topics) = &beat.topics {
            member.topics.clone_from(topics);
        }
        if let Some(regex) = &beat.regex {
            member.regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
        }
        if assignor.is_some() {
            member.assignor = assignor;
        }
        member.client_id.clone_from(&beat.client_id);
        member.client_host.clone_from(&beat.client_host);
        member.classic = classic;
        if *member != before {
            self.changes.member(&beat.member_id);
        }
        let classic = member.classic.as_ref();
        member.expires_ms = now_ms + classic.map_or(self.rules.session_ms, |classic| classic.session_timeout_ms);
        member.topics != before.topics || member.regex != before.regex
    }

    /// Leads a member on towards its target.
    pub(super) fn lead_on(&mut self, member_id: &str, owned: Option<&Partitions>, now_ms: u64) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if member.is_settled_in(self.assignment_epoch) {
            return;
        }
        let before = member.clone();
        let holders = &self.holders;
        let is_free = |topic, partition| {
            holders
                .get(&(topic, partition))
                .is_none_or(|holder| holder == member_id)
        };
        reconcile(member, self.assignment_epoch, owned, is_free);
        if *member == before {
            return;
        }
        member.revoked_by_ms = match member.progress {
            Progress::Unrevoked if member.classic.is_none() => Some(now_ms + member.rebalance_timeout_ms),
            Progress::Unrevoked | Progress::Stable | Progress::Unreleased => None,
        };
        for place in before.held() {
            self.holders.remove(&place);
        }
        for place in member.held() {
            self.holders.insert(place, member_id.to_owned());
        }
        self.changes.member(member_id);
    }

    /// An administrator takes members out with the classic protocol's request; for each, whether it was one.
    pub(crate) fn leave_classic(&mut self, leaving: Vec<Leaving>) -> Vec<Left> {
        let mut results: Vec<Left> = Vec::with_capacity(leaving.len());
        for leaver in leaving {
            let known = leaver
                .instance
                .as_ref()
                .and_then(|instance| self.instances.get(instance))
                .cloned();
            let member_id = match (leaver.member_id.is_empty(), &leaver.instance, known) {
                (true, _, Some(known)) => Ok(known),
                (true, _, None) | (false, Some(_), None) => Err(ResponseError::UnknownMemberId),
                (false, Some(_), Some(known)) if known != leaver.member_id => Err(ResponseError::FencedInstanceId),
                (false, _, _) => Ok(leaver.member_id.clone()),
            };
            let left = match member_id {
                Ok(member_id) if self.members.contains_key(&member_id) => {
                    self.remove(&member_id);
                    Ok(())
                }
                Ok(_) => Err(ResponseError::UnknownMemberId),
                Err(code) => Err(code),
            };
            results.push((leaver, left));
        }
        results
    }

    fn leave(&mut self, beat: &Heartbeat) -> Result<Beat, Refusal> {
        if let Some(instance) = &beat.instance {
            match self.instances.get(instance) {
                None => return Err(unknown_member()),
                Some(known) if *known != beat.member_id => {
                    return Err(Refusal::new(
                        ResponseError::FencedInstanceId,
                        format!("the instance '{instance}' is the member '{known}' by now"),
                    ));
                }
                Some(_) => {}
            }
        }
        let member = self.members.get_mut(&beat.member_id).ok_or_else(unknown_member)?;
        if beat.epoch == LEAVE_FOR_NOW && beat.instance.is_some() {
            // It keeps its place, and gives up what it had to give up, until it is back or its session ends.
            for place in member.revoking.iter() {
                self.holders.remove(&place);
            }
            member.revoking = Partitions::default();
            member.revoked_by_ms = None;
            member.epoch = LEAVE_FOR_NOW;
            self.changes.member(&beat.member_id);
        } else {
            self.remove(&beat.member_id);
        }
        Ok(Beat {
            member_id: beat.member_id.clone(),
            epoch: beat.epoch,
            heartbeat_ms: self.rules.heartbeat_ms,
            assignment: None,
        })
    }
}

fn check_epoch(member: &Member, beat: &Heartbeat) -> Result<(), Refusal> {
    let fenced = |how: &str| {
        Refusal::new(
            ResponseError::FencedMemberEpoch,
            format!(
                "the member comes with epoch {}, {how} than the {} that is known: it has to give everything up and join again",
                beat.epoch, member.epoch
            ),
        )
    };
    // Who joins again has given everything up.
    if beat.epoch == JOIN || beat.epoch == member.epoch {
        return Ok(());
    }
    if beat.epoch > member.epoch {
        return Err(fenced("a greater"));
    }
    // The answer that told it of its new epoch was lost on the way.
    let lost = beat.epoch == member.previous_epoch
        && beat
            .owned
            .as_ref()
            .is_some_and(|owned| owned.is_within(&member.assigned));
    match lost {
        true => Ok(()),
        false => Err(fenced("a smaller")),
    }
}

fn read_assignor(name: Option<&str>) -> Result<Option<Assignor>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    match Assignor::named(name) {
        Some(assignor) => Ok(Some(assignor)),
        None => {
            let names = Assignor::ALL.map(Assignor::name).join(", ");
            let message = format!("there is no assignor '{name}' here: choose one of {names}");
            Err(Refusal::new(ResponseError::UnsupportedAssignor, message))
        }
    }
}

fn unknown_member() -> Refusal {
    Refusal::new(ResponseError::UnknownMemberId, "the group has no such member")
}

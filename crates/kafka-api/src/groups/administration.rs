//! Looking at groups, deleting them and their commits, and forgetting what has been kept long enough.

use std::collections::HashSet;

use headwater_eventlog::Append;
use kafka_protocol::ResponseError;

use super::changes::Changes;
use super::classic::{self, Group};
use super::offsets::{Basis, CommitEvents};
use super::slot::{Kind, Slot};
use super::{Groups, Place, consumer, ledger, share};
use crate::own_streams::{self, GROUPS_STREAM, Unwritten};

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) protocol_type: String,
    pub(crate) state: &'static str,
    /// `classic`, `consumer` or `share`.
    pub(crate) kind: &'static str,
}

/// A group as a request for a description finds it.
pub(crate) enum Seen<'a> {
    Classic(&'a Group),
    Consumer(&'a consumer::Group),
    Share(&'a share::Group),
}

impl Groups {
    /// Shows a group to `look`; `None` where it has neither members nor commits.
    pub(crate) fn look<T>(&self, group_id: &str, look: impl FnOnce(Seen<'_>) -> T) -> Option<T> {
        let slots = self.slots.lock();
        match slots.by_id.get(group_id).map(|slot| &slot.kind) {
            Some(Kind::Classic(group)) => Some(look(Seen::Classic(group))),
            Some(Kind::Consumer(group)) => Some(look(Seen::Consumer(group))),
            Some(Kind::Share(group)) => Some(look(Seen::Share(group))),
            None if self.offsets.holds(group_id) => Some(look(Seen::Classic(&Group::new(self.rules.classic)))),
            None => None,
        }
    }

    /// Every group with members or commits.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let slots = self.slots.lock();
        let mut groups: Vec<Listed> = Vec::new();
        for (id, slot) in &slots.by_id {
            let (state, protocol_type, kind) = match &slot.kind {
                Kind::Classic(group) => (group.state().name(), group.protocol_type(), "classic"),
                Kind::Consumer(group) => (group.state_name(), classic::CONSUMERS, "consumer"),
                Kind::Share(group) => (group.state_name(), "share", "share"),
            };
            groups.push(Listed {
                id: id.clone(),
                protocol_type: protocol_type.to_owned(),
                state,
                kind,
            });
        }
        for id in self.offsets.groups() {
            if !slots.by_id.contains_key(&id) {
                groups.push(Listed {
                    id,
                    protocol_type: String::new(),
                    state: classic::State::Empty.name(),
                    kind: "classic",
                });
            }
        }
        groups.sort_by(|one, other| one.id.cmp(&other.id));
        groups
    }

    /// Forgets a group that has no members, and its commits, in one step.
    pub(crate) async fn delete(&self, group_id: &str, principal: &str) -> Result<(), ResponseError> {
        let known = {
            let slots = self.slots.lock();
            match slots.by_id.get(group_id) {
                Some(slot) if !slot.is_idle() => return Err(ResponseError::NonEmptyGroup),
                known => known.is_some(),
            }
        };
        let _alone = self.offsets.alone().await;
        let places = self.offsets.partitions(group_id);
        if !known && places.is_empty() {
            return Err(ResponseError::GroupIdNotFound);
        }
        self.forget(group_id, &places, known, principal).await
    }

    /// Forgets what a group committed for some partitions; for each, whether that may be.
    pub(crate) async fn delete_offsets(
        &self,
        group_id: &str,
        places: &[Place],
        principal: &str,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let mut allowed: Vec<Result<(), ResponseError>> = Vec::with_capacity(places.len());
        {
            let slots = self.slots.lock();
            let slot = slots.by_id.get(group_id);
            if slot.is_none() && !self.offsets.holds(group_id) {
                return Err(ResponseError::GroupIdNotFound);
            }
            for (stream, _) in places {
                allowed.push(may_delete_offsets(slot, stream)?);
            }
        }
        let _alone = self.offsets.alone().await;
        let committed = self.offsets.partitions(group_id);
        let mut gone: Vec<Place> = Vec::new();
        for (place, allowed) in places.iter().zip(&allowed) {
            if allowed.is_ok() && committed.contains(place) {
                gone.push(place.clone());
            }
        }
        self.forget(group_id, &gone, false, principal).await?;
        Ok(allowed)
    }

    /// Forgets commits whose time is over or whose stream is gone, and groups that have neither members nor commits left.
    pub(crate) async fn expire(&self) {
        let streams: HashSet<u128> = self.log.streams().into_iter().map(|stream| stream.id).collect();
        for group_id in self.group_ids() {
            let _alone = self.offsets.alone().await;
            let basis = self.basis(&group_id);
            // One that is missing may have come since.
            let live = |id| streams.contains(&id) || self.log.streams().iter().any(|stream| stream.id == id);
            let places = self
                .offsets
                .expired(&group_id, &basis, self.rules.offsets_retention_ms, live);
            if self.is_share(&group_id) {
                continue;
            }
            let left = self.offsets.partitions(&group_id).len() - places.len();
            let whole = left == 0 && !self.offsets.has_pending(&group_id) && self.is_idle_slot(&group_id);
            if places.is_empty() && !whole {
                continue;
            }
            if let Err(code) = self.forget(&group_id, &places, whole, "groups").await {
                tracing::warn!(
                    "expired commits of group '{group_id}' were not forgotten: {code}; the next round tries again"
                );
            }
        }
    }

    fn group_ids(&self) -> Vec<String> {
        let mut ids = self.offsets.groups();
        let slots = self.slots.lock();
        for id in slots.by_id.keys() {
            if !self.offsets.holds(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    fn is_idle_slot(&self, group_id: &str) -> bool {
        let slots = self.slots.lock();
        slots.by_id.get(group_id).is_some_and(Slot::is_idle)
    }

    /// Share groups go on where their deliveries say, and stay until they are deleted.
    fn is_share(&self, group_id: &str) -> bool {
        let slots = self.slots.lock();
        matches!(slots.by_id.get(group_id).map(|slot| &slot.kind), Some(Kind::Share(_)))
    }

    fn basis(&self, group_id: &str) -> Basis {
        let slots = self.slots.lock();
        match slots.by_id.get(group_id).map(|slot| &slot.kind) {
            None => Basis::Commit,
            Some(Kind::Classic(group)) => match group.state() {
                classic::State::Empty if group.protocol_type().is_empty() => Basis::Commit,
                classic::State::Empty => Basis::Since(group.state_since_ms()),
                _ => group.subscribed_topics().map_or(Basis::Never, Basis::CommitUnlessRead),
            },
            Some(Kind::Consumer(group)) => Basis::CommitUnlessRead(group.subscribed_topics()),
            Some(Kind::Share(_)) => Basis::Never,
        }
    }

    /// Forgets commits, and with `whole` the group too, in one append. Whoever calls this is alone with the commits.
    async fn forget(
        &self,
        group_id: &str,
        places: &[Place],
        whole: bool,
        principal: &str,
    ) -> Result<(), ResponseError> {
        let unwritable = |_| ResponseError::UnknownServerError;
        let events: CommitEvents = self.offsets.forgetting(group_id, places)?;
        let mut parts = events.parts();
        let commits = parts.len();
        if whole {
            let gone = ledger::group_event(group_id, None, self.now_ms()).map_err(unwritable)?;
            parts.push(own_streams::part(GROUPS_STREAM, &[gone]));
        }
        if parts.is_empty() {
            return Ok(());
        }
        let appended = self.log.append(Append {
            parts,
            principal: principal.to_owned(),
            condition: None,
        });
        let appended = appended.await.map_err(|error| Unwritten::of(&error).code())?;
        self.offsets.landed(&events, &appended.base_offsets[..commits]);
        if whole {
            self.drop_slot(group_id);
        }
        Ok(())
    }

    /// The group is gone; where somebody has joined it meanwhile, it is written down anew.
    fn drop_slot(&self, group_id: &str) {
        let mut slots = self.slots.lock();
        match slots.by_id.get_mut(group_id) {
            Some(slot) if slot.is_idle() => {
                slots.by_id.remove(group_id);
                slots.agenda.set(group_id, None);
            }
            Some(slot) => {
                let everything = Changes {
                    group: true,
                    members: slot.member_ids(),
                };
                slot.unsaved.merge(everything);
                self.settle(&mut slots, group_id, Vec::new());
            }
            None => {}
        }
    }
}

/// Whether a group's commits for a stream may go: not while a member reads it.
fn may_delete_offsets(slot: Option<&Slot>, stream: &str) -> Result<Result<(), ResponseError>, ResponseError> {
    let reads = match slot.map(|slot| &slot.kind) {
        None => false,
        Some(Kind::Classic(group)) if group.is_idle() => false,
        Some(Kind::Classic(group)) if group.protocol_type() == classic::CONSUMERS => group.reads(stream),
        Some(Kind::Classic(_)) => return Err(ResponseError::NonEmptyGroup),
        Some(Kind::Consumer(group)) => group.subscribed_topics().contains(stream),
        Some(Kind::Share(_)) => return Err(ResponseError::GroupIdNotFound),
    };
    Ok(match reads {
        true => Err(ResponseError::GroupSubscribedToTopic),
        false => Ok(()),
    })
}

//! Who shall have what: the topics that members read, and the assignor's word on them.

use std::collections::BTreeMap;

use super::{Group, Member, subscription};
use crate::groups::assignors::{Assignor, Subscriber, Subscribers};
use crate::groups::topics::{Topic, Topics};

impl Group {
    /// Looks at the topics again where they may have changed, and where members have; the epoch grows with every change of what they are to be assigned.
    pub(super) fn look_at_topics(&mut self, topics: &Topics, members_changed: bool) {
        if !members_changed && self.topics_version == topics.version {
            return;
        }
        self.chosen = subscription::resolve(self.members.values(), topics);
        let mut read: BTreeMap<String, Topic> = BTreeMap::new();
        for name in self.subscribed_topics() {
            if let Some(topic) = topics.get(&name) {
                read.insert(name, topic);
            }
        }
        if members_changed || read != self.topics {
            self.topics = read;
            self.grow();
        }
        self.topics_version = topics.version;
    }

    /// Computes everybody's target where the group's epoch has grown past the assignment's, and the last time was not just now.
    pub(super) fn assign(&mut self, now_ms: u64) {
        let is_due = |last_ms: u64| now_ms >= last_ms.saturating_add(self.rules.assignment_interval_ms);
        if self.epoch == self.assignment_epoch || !self.assigned_ms.is_none_or(is_due) {
            return;
        }
        self.assigned_ms = Some(now_ms);
        let mut subscribers = Subscribers::new();
        for (id, member) in &self.members {
            subscribers.insert(id.clone(), self.subscriber(member));
        }
        let topics = self.topics.values().map(|topic| (topic.id, topic.partitions)).collect();
        let assigned = self.preferred_assignor().assign(&subscribers, &topics);
        for (id, target) in assigned {
            if let Some(member) = self.members.get_mut(&id)
                && member.target != target
            {
                member.target = target;
                self.changes.member(&id);
            }
        }
        self.assignment_epoch = self.epoch;
        self.changes.group = true;
    }

    fn subscriber(&self, member: &Member) -> Subscriber {
        let chosen = member.regex.as_ref().and_then(|regex| self.chosen.get(regex));
        let names = member
            .topics
            .iter()
            .chain(chosen.into_iter().flat_map(|chosen| chosen.iter()));
        Subscriber {
            instance: member.instance.clone(),
            topics: names
                .filter_map(|name| self.topics.get(name))
                .map(|topic| topic.id)
                .collect(),
            before: member.target.clone(),
        }
    }

    /// The assignor that most members ask for.
    pub(crate) fn preferred_assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_insert(0) += 1;
        }
        let most = votes
            .iter()
            .max_by_key(|(assignor, count)| (**count, std::cmp::Reverse(**assignor)));
        most.map_or(Assignor::Uniform, |(assignor, _)| *assignor)
    }
}

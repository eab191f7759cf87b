//! Tests of the group state machine: heartbeats, and what each is told.

use super::*;
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;

const RULES: Rules = Rules {
    members_max: 3,
    session_ms: 45_000,
    heartbeat_ms: 5_000,
};

fn topics(version: u64, named: &[(&str, u128, u32)]) -> Topics {
    let topic = |(name, id, partitions): &(&str, u128, u32)| {
        let (id, partitions) = (*id, *partitions);
        ((*name).to_owned(), Topic { id, partitions })
    };
    Topics::of(version, named.iter().map(topic).collect())
}

/// A group, the topics there are, and the moment.
struct Scene {
    group: Group,
    topics: Topics,
    now_ms: u64,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            group: Group::new(RULES),
            topics: topics(1, &[("t", 1, 4)]),
            now_ms: 0,
        }
    }

    fn send(&mut self, beat: Heartbeat) -> String {
        match self.group.heartbeat(beat, &self.topics, self.now_ms) {
            Ok(told) => match told.assignment {
                Some(assigned) => format!("{}: {}", told.epoch, shown(&assigned)),
                None => format!("{}", told.epoch),
            },
            Err(refusal) => format!("{:?}", refusal.code),
        }
    }

    fn check(&mut self, beat: Heartbeat, expected: &str) {
        let asked = format!("{beat:?}");
        assert_eq!(self.send(beat), expected, "{asked}");
        self.is_sound();
    }

    /// Nothing is held twice, and the index of holders says what members hold.
    fn is_sound(&self) {
        let mut held: HashMap<(u128, u32), String> = HashMap::new();
        for (id, member) in &self.group.members {
            for place in member.held() {
                assert_eq!(held.insert(place, id.clone()), None, "{place:?} is held twice");
            }
            assert!(member.epoch <= self.group.assignment_epoch);
        }
        assert_eq!(held, self.group.holders);
        assert!(self.group.assignment_epoch <= self.group.epoch);
    }

    fn restart(&mut self, kept: &mut (Option<StoredGroup>, BTreeMap<String, StoredMember>)) {
        let changes = self.group.take_changes();
        if changes.group {
            kept.0 = Some(self.group.stored_group());
        }
        for id in changes.members {
            match self.group.stored_member(&id) {
                Some(member) => drop(kept.1.insert(id, member)),
                None => drop(kept.1.remove(&id)),
            }
        }
        let stored = kept.0.clone().expect("the group was written");
        self.group = Group::restore(RULES, stored, kept.1.clone(), self.now_ms);
        self.is_sound();
    }
}

fn shown(partitions: &Partitions) -> String {
    let place = |(topic, partition)| format!("{topic}/{partition}");
    partitions.iter().map(place).collect::<Vec<_>>().join(" ")
}

fn owned(places: &str) -> Partitions {
    let place = |place: &str| {
        let (topic, partition) = place.split_once('/').expect("topic/partition");
        (topic.parse().expect("a number"), partition.parse().expect("a number"))
    };
    places.split_whitespace().map(place).collect()
}

fn join(id: &str) -> Heartbeat {
    Heartbeat {
        member_id: id.to_owned(),
        epoch: JOIN,
        rebalance_timeout_ms: Some(60_000),
        topics: Some(BTreeSet::from(["t".to_owned()])),
        owned: Some(Partitions::default()),
        ..Heartbeat::default()
    }
}

fn beat(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat {
        member_id: id.to_owned(),
        epoch,
        ..Heartbeat::default()
    }
}

fn having(id: &str, epoch: i32, places: &str) -> Heartbeat {
    Heartbeat {
        owned: Some(owned(places)),
        ..beat(id, epoch)
    }
}

fn instance(beat: Heartbeat) -> Heartbeat {
    Heartbeat {
        instance: Some("i".to_owned()),
        ..beat
    }
}

/// The members a and b with two partitions each.
fn two() -> Scene {
    let mut scene = Scene::new();
    scene.check(join("a"), "1: 1/0 1/1 1/2 1/3");
    scene.check(join("b"), "2: ");
    assert_eq!(scene.group.state_name(), "Reconciling");
    scene.check(beat("a", 1), "1: 1/0 1/1");
    scene.check(having("a", 1, "1/0 1/1"), "2");
    scene.check(beat("b", 2), "2: 1/2 1/3");
    assert_eq!(scene.group.state_name(), "Stable");
    scene
}

#[test]
fn partitions_wander_when_they_were_given_up() {
    let mut scene = Scene::new();
    assert_eq!(scene.group.state_name(), "Empty");
    scene.check(join("a"), "1: 1/0 1/1 1/2 1/3");
    scene.check(beat("a", 1), "1");
    scene.check(join("b"), "2: ");
    scene.check(beat("b", 2), "2");
    // Told to give up; as long as it does not say that it did, nobody gets it.
    scene.check(having("a", 1, "1/0 1/1 1/2 1/3"), "1: 1/0 1/1");
    scene.check(beat("a", 1), "1");
    scene.check(having("a", 1, "1/0 1/1 1/2"), "1");
    scene.check(beat("b", 2), "2");
    scene.check(having("a", 1, "1/0 1/1"), "2");
    scene.check(beat("b", 2), "2: 1/2 1/3");
    scene.check(beat("a", 2), "2");
    assert_eq!(scene.group.state_name(), "Stable");
}

#[test]
fn what_a_leaver_had_goes_to_the_others() {
    let mut scene = two();
    scene.check(beat("a", LEAVE), "-1");
    assert_eq!(scene.group.state_name(), "Assigning");
    scene.check(beat("b", 2), "3: 1/0 1/1 1/2 1/3");
    scene.check(beat("a", 2), "UnknownMemberId");
    scene.check(beat("b", LEAVE), "-1");
    assert_eq!(scene.group.state_name(), "Empty");
}

#[test]
fn epochs_are_held_against_what_is_known() {
    let mut scene = two();
    scene.check(beat("a", 3), "FencedMemberEpoch");
    scene.check(beat("a", 1), "FencedMemberEpoch");
    // The answer with epoch 2 was lost.
    scene.check(having("a", 1, "1/0"), "2");
    scene.check(having("a", 1, "1/3"), "FencedMemberEpoch");
    scene.check(beat("x", 2), "UnknownMemberId");
    // Who was fenced has given everything up and starts anew.
    scene.check(join("a"), "2: 1/0 1/1");
    scene.check(join("c"), "3: ");
    scene.check(join("d"), "GroupMaxSizeReached");
}

#[test]
fn who_is_silent_or_does_not_give_up_is_out() {
    let mut scene = Scene::new();
    scene.check(join("a"), "1: 1/0 1/1 1/2 1/3");
    scene.now_ms = 10_000;
    scene.check(join("b"), "2: ");
    assert_eq!(scene.group.due_ms(), Some(45_000));
    scene.check(beat("a", 1), "1: 1/0 1/1");
    for now_ms in [30_000, 50_000, 69_999] {
        scene.now_ms = now_ms;
        scene.group.tick(now_ms);
        scene.check(beat("a", 1), "1");
        scene.check(beat("b", 2), "2");
    }
    assert_eq!(scene.group.due_ms(), Some(70_000));
    scene.group.tick(70_000);
    scene.check(beat("a", 1), "UnknownMemberId");
    scene.check(beat("b", 2), "3: 1/0 1/1 1/2 1/3");
    scene.group.tick(114_998);
    assert_eq!(scene.group.state_name(), "Stable");
    scene.group.tick(114_999);
    assert_eq!(scene.group.state_name(), "Empty");
}

#[test]
fn topics_that_come_grow_and_go_are_seen() {
    let mut scene = Scene::new();
    let mut pattern = join("a");
    pattern.topics = None;
    pattern.regex = Some("t.*".to_owned());
    scene.check(pattern, "1: 1/0 1/1 1/2 1/3");
    scene.topics = topics(2, &[("t", 1, 4), ("t2", 2, 1), ("u", 3, 1), ("_headwater.t", 4, 1)]);
    scene.check(beat("a", 1), "2: 1/0 1/1 1/2 1/3 2/0");
    scene.check(beat("a", 2), "2");
    scene.topics = topics(3, &[("t", 1, 5), ("t2", 2, 1)]);
    scene.check(beat("a", 2), "3: 1/0 1/1 1/2 1/3 1/4 2/0");
    scene.topics = topics(4, &[("t", 5, 1)]);
    scene.check(beat("a", 3), "3: ");
    scene.check(having("a", 3, ""), "4: 5/0");
    let mut by_name = beat("a", 4);
    by_name.topics = Some(BTreeSet::from(["u".to_owned()]));
    by_name.regex = Some(String::new());
    scene.check(by_name, "4: ");
    let mut wrong = beat("a", 4);
    wrong.regex = Some("(".to_owned());
    scene.check(wrong, "InvalidRegularExpression");
}

#[test]
fn an_instance_comes_back_to_its_place() {
    let mut scene = Scene::new();
    scene.check(instance(join("a")), "1: 1/0 1/1 1/2 1/3");
    scene.check(instance(join("a2")), "UnreleasedInstanceId");
    scene.check(instance(beat("a", LEAVE_FOR_NOW)), "-2");
    scene.check(instance(join("a2")), "1: 1/0 1/1 1/2 1/3");
    scene.check(instance(beat("a", 1)), "FencedInstanceId");
    scene.check(instance(beat("a", LEAVE)), "FencedInstanceId");
    scene.check(instance(beat("a2", 1)), "1");
    scene.check(instance(beat("a2", LEAVE_FOR_NOW)), "-2");
    scene.check(instance(join("a2")), "1: 1/0 1/1 1/2 1/3");
    scene.check(instance(beat("a2", LEAVE_FOR_NOW)), "-2");
    scene.group.tick(45_000);
    assert_eq!(scene.group.state_name(), "Empty");
    scene.check(instance(beat("a2", 1)), "UnknownMemberId");
}

#[test]
fn the_assignor_that_most_want_is_taken() {
    let mut scene = Scene::new();
    let wanting = |id: &str, assignor: &str| Heartbeat {
        assignor: Some(assignor.to_owned()),
        ..join(id)
    };
    scene.check(wanting("a", "sticky"), "UnsupportedAssignor");
    scene.check(wanting("a", "range"), "1: 1/0 1/1 1/2 1/3");
    assert_eq!(scene.group.preferred_assignor().name(), "range");
    scene.check(wanting("b", "uniform"), "2: ");
    assert_eq!(scene.group.preferred_assignor().name(), "uniform");
    scene.check(wanting("c", "range"), "3: ");
    assert_eq!(scene.group.preferred_assignor().name(), "range");
}

#[test]
fn commits_and_questions_need_the_epoch() {
    let mut scene = two();
    let group = &mut scene.group;
    assert_eq!(group.may_commit("a", 2), Ok(()));
    assert_eq!(group.may_commit("a", 1), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(group.may_commit("x", 2), Err(ResponseError::UnknownMemberId));
    assert_eq!(group.may_commit("", -1), Err(ResponseError::UnknownMemberId));
    assert_eq!(group.may_fetch(None, -1), Ok(()));
    assert_eq!(group.may_fetch(Some("a"), 2), Ok(()));
    assert_eq!(group.may_fetch(Some("a"), 3), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(group.may_fetch(Some("x"), -1), Err(ResponseError::UnknownMemberId));
    assert_eq!(Group::new(RULES).may_commit("", -1), Ok(()));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut kept = (None, BTreeMap::new());
    let mut scene = Scene::new();
    scene.check(join("a"), "1: 1/0 1/1 1/2 1/3");
    scene.restart(&mut kept);
    scene.check(beat("a", 1), "1");
    scene.check(join("b"), "2: ");
    scene.restart(&mut kept);
    scene.check(beat("a", 1), "1: 1/0 1/1");
    scene.now_ms = 40_000;
    scene.restart(&mut kept);
    assert_eq!(scene.group.due_ms(), Some(85_000));
    scene.check(beat("b", 2), "2");
    scene.check(having("a", 1, "1/0 1/1"), "2");
    scene.restart(&mut kept);
    scene.check(beat("b", 2), "2: 1/2 1/3");
    scene.check(beat("a", LEAVE), "-1");
    scene.restart(&mut kept);
    scene.check(beat("b", 2), "3: 1/0 1/1 1/2 1/3");
}

//! Tests of the group state machine: heartbeats, and what each is told.

use super::*;
use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;

const RULES: Rules = Rules {
    members_max: 3,
    session_ms: 45_000,
    heartbeat_ms: 5_000,
    assignment_interval_ms: 0,
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
            // Counted from the first one who joins: a group's first epoch is tested where clients are told it.
            group: Group {
                epoch: 0,
                assignment_epoch: 0,
                ..Group::new(RULES)
            },
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

#[test]
fn a_group_is_assigned_anew_no_sooner_than_was_set() {
    let mut scene = Scene::new();
    scene.group.set_rules(Rules {
        assignment_interval_ms: 1_000,
        ..RULES
    });
    scene.check(join("a"), "1: 1/0 1/1 1/2 1/3");
    scene.check(join("b"), "1: ");
    assert_eq!(scene.group.state_name(), "Assigning");
    scene.now_ms = 999;
    scene.check(beat("b", 1), "1");
    scene.now_ms = 1_000;
    scene.check(beat("b", 1), "2");
    assert_eq!(scene.group.state_name(), "Reconciling");
    // A group that was empty meanwhile is a new one.
    scene.check(beat("a", LEAVE), "-1");
    scene.check(beat("b", LEAVE), "-1");
    scene.check(join("c"), "5: 1/0 1/1 1/2 1/3");
}

#[test]
fn another_assignor_assigns_anew() {
    let mut scene = Scene::new();
    let asks = |id: &str, instance: &str, epoch, assignor: &str| Heartbeat {
        instance: Some(instance.to_owned()),
        assignor: Some(assignor.to_owned()),
        topics: Some(BTreeSet::from(["t".to_owned()])),
        ..beat(id, epoch)
    };
    scene.check(asks("a", "one", JOIN, "uniform"), "1: 1/0 1/1 1/2 1/3");
    scene.check(asks("a", "one", LEAVE_FOR_NOW, "uniform"), "-2");
    // Its instance is back under another id, and asks for another one.
    scene.check(asks("b", "one", JOIN, "range"), "2: 1/0 1/1 1/2 1/3");
    scene.check(asks("b", "one", 2, "range"), "2");
    scene.check(asks("b", "one", 2, "uniform"), "3");
}

/// The groups' other protocol, as its members and their bytes.
mod mixed {
    use bytes::Bytes;
    use kafka_protocol::ResponseError;

    use super::*;
    use crate::groups::classic::{self, Join, Leaving, Protocol, State, Sync};
    use crate::groups::embedded;

    const CLASSIC: classic::Rules = classic::Rules {
        members_max: 3,
        initial_delay_ms: 0,
    };

    /// A consumer of version 1 that reads `t` and says that it has these partitions of it.
    fn said(owned: &[u32]) -> Bytes {
        let mut bytes = b"\x00\x01\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01t".to_vec();
        bytes.extend((owned.len() as u32).to_be_bytes());
        bytes.extend(owned.iter().flat_map(|partition| partition.to_be_bytes()));
        Bytes::from(bytes)
    }

    fn classic_join(id: &str, new_id: &str, owned: &[u32]) -> Join {
        Join {
            member_id: id.to_owned(),
            new_member_id: new_id.to_owned(),
            id_first: false,
            knows_skip: true,
            instance: None,
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol {
                name: "cooperative-sticky".to_owned(),
                metadata: said(owned),
            }],
        }
    }

    fn classic_sync(id: &str, generation: i32) -> Sync {
        Sync {
            member_id: id.to_owned(),
            instance: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        }
    }

    /// What a member of the classic protocol is assigned.
    fn share(scene: &mut Scene, id: &str, generation: i32) -> Result<Vec<u32>, ResponseError> {
        let synced = scene
            .group
            .sync_classic(&classic_sync(id, generation), &scene.topics, scene.now_ms)?;
        scene.is_sound();
        let named = embedded::read_assignment(&synced.assignment).expect("an assignment");
        Ok(named.partitions.into_values().flatten().collect())
    }

    fn join_again(scene: &mut Scene, id: &str, owned: &[u32]) -> Result<i32, ResponseError> {
        let joined = scene
            .group
            .join_classic(classic_join(id, "", owned), &scene.topics, scene.now_ms);
        scene.is_sound();
        joined.map(|joined| joined.generation).map_err(|refused| refused.code)
    }

    fn alive(scene: &mut Scene, id: &str, generation: i32) -> Result<(), ResponseError> {
        scene.group.heartbeat_classic(id, None, generation, scene.now_ms)
    }

    /// The member a of the classic protocol has everything in generation 1, and the group is of the consumer protocol by now.
    fn upgraded() -> Scene {
        let mut old = classic::Group::new(CLASSIC);
        old.join(classic_join("", "a", &[]), 1, 0);
        let assigned = embedded::Named::from([("t".to_owned(), (0..4).collect())]);
        let mut sync = classic_sync("a", 1);
        sync.assignments = vec![("a".to_owned(), embedded::write_assignment(1, &assigned))];
        old.sync(sync, 2, 0);
        assert_eq!(old.state(), State::Stable);
        let mut scene = Scene::new();
        scene.group = Group::from_classic(RULES, &mut old, &scene.topics, 0).expect("they are consumers");
        scene.is_sound();
        scene
    }

    #[test]
    fn a_group_changes_its_protocol_while_it_runs() {
        let mut scene = upgraded();
        assert_eq!(alive(&mut scene, "a", 1), Ok(()));
        scene.check(join("b"), "2: ");
        assert_eq!(alive(&mut scene, "a", 1), Err(ResponseError::RebalanceInProgress));
        // It joins with what it has, learns what it keeps, gives the rest up, and joins again without.
        assert_eq!(join_again(&mut scene, "a", &[0, 1, 2, 3]), Ok(1));
        assert_eq!(share(&mut scene, "a", 1), Ok(vec![0, 1]));
        scene.check(beat("b", 2), "2");
        assert_eq!(alive(&mut scene, "a", 1), Err(ResponseError::RebalanceInProgress));
        assert_eq!(join_again(&mut scene, "a", &[0, 1]), Ok(2));
        assert_eq!(share(&mut scene, "a", 2), Ok(vec![0, 1]));
        assert_eq!(alive(&mut scene, "a", 2), Ok(()));
        scene.check(beat("b", 2), "2: 1/2 1/3");
        assert_eq!(scene.group.state_name(), "Stable");
        assert_eq!(scene.group.may_commit("a", 1), Err(ResponseError::IllegalGeneration));
        assert_eq!(scene.group.may_commit("a", 2), Ok(()));
        assert_eq!(share(&mut scene, "b", 2), Err(ResponseError::UnknownMemberId));
        // Another one of the classic protocol comes: it waits for what the others give up.
        let refused = scene.group.join_classic(
            Join {
                id_first: true,
                ..classic_join("", "c", &[])
            },
            &scene.topics,
            0,
        );
        assert_eq!(
            refused.map_err(|refused| refused.code),
            Err(ResponseError::MemberIdRequired)
        );
        assert_eq!(join_again(&mut scene, "c", &[]), Ok(3));
        assert_eq!(share(&mut scene, "c", 3), Ok(vec![]));
        assert!(!scene.group.speaks_classic());
        // The last one of the consumer protocol goes, and the group changes back.
        scene.check(beat("b", LEAVE), "-1");
        assert!(scene.group.speaks_classic());
        let mut old = scene.group.to_classic(CLASSIC, &scene.topics, 0);
        assert_eq!(old.state(), State::PreparingRebalance);
        let leader = old.join(classic_join("a", "", &[0, 1]), 1, 0);
        assert_eq!((leader.len(), old.state()), (0, State::PreparingRebalance));
        assert_eq!(old.join(classic_join("c", "", &[]), 2, 0).len(), 2);
        assert_eq!(old.generation(), scene.group.epoch() + 1);
    }

    #[test]
    fn who_is_told_to_join_or_to_ask_and_does_not_is_out() {
        let mut scene = upgraded();
        scene.check(join("b"), "2: ");
        assert_eq!(alive(&mut scene, "a", 1), Err(ResponseError::RebalanceInProgress));
        for now_ms in [9_000, 18_000, 27_000, 36_000, 45_000, 54_000, 59_999] {
            scene.now_ms = now_ms;
            assert_eq!(alive(&mut scene, "a", 1), Err(ResponseError::RebalanceInProgress));
            scene.check(beat("b", 2), "2");
            scene.group.tick(now_ms);
        }
        scene.group.tick(60_000);
        assert_eq!(alive(&mut scene, "a", 1), Err(ResponseError::UnknownMemberId));
        scene.check(beat("b", 2), "3: 1/0 1/1 1/2 1/3");
        let left = scene.group.leave_classic(vec![Leaving {
            member_id: "b".to_owned(),
            instance: None,
        }]);
        assert!(left[0].1.is_ok());
    }

    #[test]
    fn groups_of_others_stay_what_they_are() {
        for (protocol_type, metadata, expected) in [
            ("connect", said(&[]), Unfit::OtherMembers),
            ("consumer", Bytes::from_static(b"connect"), Unfit::Unreadable),
        ] {
            let mut old = classic::Group::new(CLASSIC);
            let mut other = classic_join("", "a", &[]);
            other.protocol_type = protocol_type.to_owned();
            other.protocols[0].metadata = metadata;
            old.join(other, 1, 0);
            let unfit = Group::from_classic(RULES, &mut old, &topics(1, &[]), 0).err();
            assert_eq!(unfit, Some(expected));
        }
        let mut scene = upgraded();
        let mut other = classic_join("", "c", &[]);
        other.protocol_type = "connect".to_owned();
        let refused = scene
            .group
            .join_classic(other, &scene.topics, 0)
            .map_err(|refused| refused.code);
        assert_eq!(refused, Err(ResponseError::InconsistentGroupProtocol));
    }

    #[test]
    fn a_member_without_an_id_gets_one_before_its_subscription_is_read() {
        let mut scene = upgraded();
        let mut join = Join {
            id_first: true,
            ..classic_join("", "c", &[])
        };
        join.protocols[0].metadata = Bytes::new();
        let refused = |scene: &mut Scene, join: Join| {
            let refused = scene.group.join_classic(join, &scene.topics, 0).unwrap_err();
            (refused.code, refused.member_id)
        };
        let asked = (ResponseError::MemberIdRequired, "c".to_owned());
        assert_eq!(refused(&mut scene, join.clone()), asked);
        join.member_id = "c".to_owned();
        let unreadable = (ResponseError::InconsistentGroupProtocol, String::new());
        assert_eq!(refused(&mut scene, join), unreadable);
    }

    #[test]
    fn what_an_assignor_adds_must_be_what_its_member_said() {
        for (says, told, expected) in [
            (&b""[..], &b""[..], None),
            (b"mine", b"", None),
            // As librdkafka's assignors do.
            (b"mine", b"mine", None),
            (b"mine", b"theirs", Some(Unfit::OwnAssignor)),
            (b"", b"theirs", Some(Unfit::OwnAssignor)),
        ] {
            let with_data = |bytes: &[u8], data: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.extend((data.len() as u32).to_be_bytes());
                bytes.extend(data);
                Bytes::from(bytes)
            };
            let mut old = classic::Group::new(CLASSIC);
            let mut join = classic_join("", "a", &[]);
            join.protocols[0].metadata = with_data(b"\x00\x00\x00\x00\x00\x01\x00\x01t", says);
            old.join(join, 1, 0);
            let mut sync = classic_sync("a", 1);
            sync.assignments = vec![("a".to_owned(), with_data(b"\x00\x00\x00\x00\x00\x00", told))];
            old.sync(sync, 2, 0);
            assert_eq!(old.state(), State::Stable);
            let unfit = Group::from_classic(RULES, &mut old, &topics(1, &[]), 0).err();
            assert_eq!(unfit, expected, "{says:?} {told:?}");
        }
    }

    #[test]
    fn a_restart_finds_members_of_both_protocols() {
        let mut kept = (None, BTreeMap::new());
        let mut scene = upgraded();
        scene.restart(&mut kept);
        assert_eq!(scene.group.due_ms(), Some(10_000));
        assert_eq!(alive(&mut scene, "a", 1), Ok(()));
        scene.check(join("b"), "2: ");
        scene.restart(&mut kept);
        assert_eq!(join_again(&mut scene, "a", &[0, 1, 2, 3]), Ok(1));
        assert_eq!(share(&mut scene, "a", 1), Ok(vec![0, 1]));
    }
}

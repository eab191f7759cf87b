//! Tests of the group state machine: a script of what happens, and the replies it must bring.

use bytes::Bytes;

use super::*;
use crate::limits::GROUP_NEW_MEMBER_WAIT_MS_MAX;

const RULES: Rules = Rules {
    members_max: 3,
    initial_delay_ms: 0,
};

fn join(member_id: &str, new_member_id: &str, metadata: &'static str) -> Join {
    Join {
        member_id: member_id.to_owned(),
        new_member_id: new_member_id.to_owned(),
        id_first: false,
        knows_skip: false,
        instance: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol {
            name: "range".to_owned(),
            metadata: Bytes::from(metadata),
        }],
    }
}

fn sync(member_id: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Sync {
    Sync {
        member_id: member_id.to_owned(),
        instance: None,
        generation,
        protocol_type: None,
        protocol: None,
        assignments: assignments
            .iter()
            .map(|(id, share)| ((*id).to_owned(), Bytes::from(*share)))
            .collect(),
    }
}

/// A reply in a line: its token, and what it says.
fn line(reply: &Reply) -> String {
    match reply {
        Reply::Joined {
            token,
            joined: Ok(joined),
        } => {
            let members: Vec<&str> = joined.members.iter().map(|(id, ..)| id.as_str()).collect();
            let skip = if joined.skip_assignment { " skip" } else { "" };
            let (id, generation, leader) = (&joined.member_id, joined.generation, &joined.leader);
            format!(
                "{token}: {id} in {generation} leader {leader} members {}{skip}",
                members.join("+")
            )
        }
        Reply::Joined {
            token,
            joined: Err(refused),
        } => {
            format!("{token}: {:?} {}", refused.code, refused.member_id)
        }
        Reply::Synced {
            token,
            synced: Ok(synced),
        } => {
            format!("{token}: share {}", String::from_utf8_lossy(&synced.assignment))
        }
        Reply::Synced {
            token,
            synced: Err(code),
        } => format!("{token}: {code:?}"),
    }
}

fn check(replies: Vec<Reply>, expected: &[&str]) {
    let lines: Vec<String> = replies.iter().map(line).collect();
    assert_eq!(lines, expected);
}

/// A stable group of the members a (leader) and b in generation 2, at moment 0.
fn stable() -> Group {
    let mut group = Group::new(RULES);
    check(group.join(join("", "a", "ma"), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.join(join("", "b", "mb"), 2, 0), &[]);
    check(
        group.join(join("a", "", "ma"), 3, 0),
        &["3: a in 2 leader a members a+b", "2: b in 2 leader a members "],
    );
    check(group.sync(sync("b", 2, &[]), 4, 0), &[]);
    let shares = [("a", "p0"), ("b", "p1")];
    check(group.sync(sync("a", 2, &shares), 5, 0), &["5: share p0", "4: share p1"]);
    assert_eq!(group.state(), State::Stable);
    group
}

#[test]
fn members_join_share_out_and_ask_again() {
    let mut group = stable();
    check(group.sync(sync("b", 2, &[]), 6, 0), &["6: share p1"]);
    assert_eq!(group.heartbeat("b", None, 2, 0), Ok(()));
    assert_eq!(group.heartbeat("b", None, 1, 0), Err(ResponseError::IllegalGeneration));
    assert_eq!(group.heartbeat("x", None, 2, 0), Err(ResponseError::UnknownMemberId));
    check(group.join(join("b", "", "mb"), 7, 0), &["7: b in 2 leader a members "]);
    check(group.sync(sync("b", 1, &[]), 8, 0), &["8: IllegalGeneration"]);
    check(group.sync(sync("x", 2, &[]), 9, 0), &["9: UnknownMemberId"]);
}

#[test]
fn a_new_member_makes_everybody_join_again() {
    let mut group = stable();
    check(group.join(join("", "c", "mc"), 6, 1_000), &[]);
    assert_eq!(group.state(), State::PreparingRebalance);
    assert_eq!(
        group.heartbeat("a", None, 2, 1_000),
        Err(ResponseError::RebalanceInProgress)
    );
    check(group.sync(sync("a", 2, &[]), 7, 1_000), &["7: RebalanceInProgress"]);
    assert_eq!(group.may_commit("a", None, 2, false, 1_000), Ok(()));
    check(group.join(join("a", "", "ma"), 8, 1_000), &[]);
    check(
        group.join(join("b", "", "mb"), 9, 1_000),
        &[
            "8: a in 3 leader a members a+b+c",
            "9: b in 3 leader a members ",
            "6: c in 3 leader a members ",
        ],
    );
    assert_eq!(
        group.may_commit("a", None, 3, false, 1_000),
        Err(ResponseError::RebalanceInProgress)
    );
    assert_eq!(
        group.may_commit("a", None, 2, false, 1_000),
        Err(ResponseError::IllegalGeneration)
    );
}

#[test]
fn who_does_not_join_in_time_is_out() {
    let mut group = stable();
    check(group.join(join("", "c", "mc"), 6, 1_000), &[]);
    check(group.join(join("a", "", "ma"), 7, 1_000), &[]);
    assert_eq!(
        group.heartbeat("b", None, 2, 55_000),
        Err(ResponseError::RebalanceInProgress)
    );
    check(group.tick(60_999), &[]);
    assert_eq!(group.due_ms(), Some(61_000));
    check(
        group.tick(61_000),
        &["7: a in 3 leader a members a+c", "6: c in 3 leader a members "],
    );
}

#[test]
fn silent_members_go_and_their_session_is_counted_from_the_last_sign() {
    let mut group = stable();
    assert_eq!(group.due_ms(), Some(10_000));
    assert_eq!(group.heartbeat("a", None, 2, 9_000), Ok(()));
    check(group.tick(9_999), &[]);
    assert_eq!(group.state(), State::Stable);
    check(group.tick(10_000), &[]);
    assert_eq!(group.state(), State::PreparingRebalance);
    check(
        group.join(join("a", "", "ma"), 6, 10_000),
        &["6: a in 3 leader a members a"],
    );
    check(
        group.sync(sync("a", 3, &[("a", "p0+p1")]), 7, 10_000),
        &["7: share p0+p1"],
    );
    check(group.tick(20_000), &[]);
    assert_eq!((group.state(), group.is_idle()), (State::Empty, true));
    assert_eq!(group.due_ms(), None);
}

#[test]
fn leaving_starts_a_rebalance_at_once() {
    let mut group = stable();
    let leaver = |id: &str| Leaving {
        member_id: id.to_owned(),
        instance: None,
    };
    let (left, replies) = group.leave(vec![leaver("a"), leaver("x")], 1_000);
    assert_eq!(
        left,
        [
            (leaver("a"), Ok(())),
            (leaver("x"), Err(ResponseError::UnknownMemberId))
        ]
    );
    check(replies, &[]);
    check(
        group.join(join("b", "", "mb"), 6, 1_000),
        &["6: b in 3 leader b members b"],
    );
    let (_, replies) = group.leave(vec![leaver("b")], 1_000);
    check(replies, &[]);
    assert_eq!(group.state(), State::Empty);
    assert_eq!(
        group.may_commit("b", None, 3, false, 1_000),
        Err(ResponseError::UnknownMemberId)
    );
    assert_eq!(group.may_commit("", None, -1, false, 1_000), Ok(()));
}

#[test]
fn a_rebalance_breaks_off_who_waits_for_a_share() {
    let mut group = Group::new(RULES);
    check(group.join(join("", "a", "ma"), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.join(join("", "b", "mb"), 2, 0), &[]);
    let joined = ["3: a in 2 leader a members a+b", "2: b in 2 leader a members "];
    check(group.join(join("a", "", "ma"), 3, 0), &joined);
    check(group.sync(sync("b", 2, &[]), 4, 0), &[]);
    check(group.join(join("", "c", "mc"), 5, 0), &["4: RebalanceInProgress"]);
}

#[test]
fn ids_come_first_where_the_client_knows_that() {
    let mut group = Group::new(RULES);
    let first = Join {
        id_first: true,
        ..join("", "a", "ma")
    };
    check(group.join(first.clone(), 1, 0), &["1: MemberIdRequired a"]);
    assert!(!group.is_idle());
    check(group.tick(9_999), &[]);
    check(
        group.join(join("a", "", "ma"), 2, 9_999),
        &["2: a in 1 leader a members a"],
    );
    check(group.join(first, 3, 9_999), &["3: MemberIdRequired a"]);
    check(group.join(join("z", "", "ma"), 4, 9_999), &["4: UnknownMemberId z"]);
}

#[test]
fn an_id_nobody_comes_back_with_is_forgotten() {
    let mut group = Group::new(RULES);
    let first = Join {
        id_first: true,
        ..join("", "a", "ma")
    };
    check(group.join(first, 1, 0), &["1: MemberIdRequired a"]);
    check(group.tick(10_000), &[]);
    assert!(group.is_idle());
    check(group.join(join("a", "", "ma"), 2, 10_000), &["2: UnknownMemberId a"]);
}

#[test]
fn protocols_must_agree() {
    let mut group = stable();
    let other_type = Join {
        protocol_type: "connect".to_owned(),
        ..join("", "c", "mc")
    };
    check(group.join(other_type, 6, 0), &["6: InconsistentGroupProtocol "]);
    let mut other_way = join("", "c", "mc");
    other_way.protocols[0].name = "sticky".to_owned();
    check(group.join(other_way, 7, 0), &["7: InconsistentGroupProtocol "]);
    let none = Join {
        protocols: Vec::new(),
        ..join("", "c", "mc")
    };
    check(group.join(none, 8, 0), &["8: InconsistentGroupProtocol "]);
    let wrong = Sync {
        protocol: Some("sticky".to_owned()),
        ..sync("a", 2, &[])
    };
    check(group.sync(wrong, 9, 0), &["9: InconsistentGroupProtocol"]);
}

#[test]
fn a_new_group_waits_for_more_members_and_longer_while_they_come() {
    let mut group = Group::new(Rules {
        initial_delay_ms: 3_000,
        ..RULES
    });
    check(group.join(join("", "a", "ma"), 1, 0), &[]);
    assert_eq!(group.due_ms(), Some(3_000));
    check(group.join(join("", "b", "mb"), 2, 2_000), &[]);
    check(group.tick(3_000), &[]);
    check(group.tick(5_999), &[]);
    check(
        group.tick(6_000),
        &["1: a in 1 leader a members a+b", "2: b in 1 leader a members "],
    );
}

#[test]
fn the_first_wait_ends_with_the_rebalance_timeout() {
    let mut group = Group::new(Rules {
        members_max: 100,
        initial_delay_ms: 3_000,
    });
    let hurried = |id: &str| Join {
        rebalance_timeout_ms: 7_000,
        ..join("", id, "m")
    };
    check(group.join(hurried("a"), 1, 0), &[]);
    for (token, now_ms) in [(2, 2_999), (3, 5_999)] {
        check(group.join(hurried(&format!("m{token}")), token, now_ms), &[]);
        check(group.tick(now_ms + 1), &[]);
    }
    check(group.join(hurried("m4"), 4, 6_999), &[]);
    check(group.tick(6_999), &[]);
    assert_eq!(group.tick(7_000).len(), 4);
}

#[test]
fn an_instance_comes_back_to_its_place() {
    let instance = |join: Join| Join {
        instance: Some("i".to_owned()),
        ..join
    };
    let mut group = Group::new(RULES);
    check(group.join(join("", "a", "ma"), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.join(instance(join("", "b", "mb")), 2, 0), &[]);
    let joined = ["3: a in 2 leader a members a+b", "2: b in 2 leader a members "];
    check(group.join(join("a", "", "ma"), 3, 0), &joined);
    check(
        group.sync(sync("a", 2, &[("a", "p0"), ("b", "p1")]), 4, 0),
        &["4: share p0"],
    );
    check(
        group.join(instance(join("", "b2", "mb")), 5, 0),
        &["5: b2 in 2 leader a members "],
    );
    check(group.sync(sync("b2", 2, &[]), 6, 0), &["6: share p1"]);
    assert_eq!(
        group.heartbeat("b", Some("i"), 2, 0),
        Err(ResponseError::FencedInstanceId)
    );
    check(
        group.join(instance(join("b", "", "mb")), 7, 0),
        &["7: FencedInstanceId b"],
    );
    let by_instance = Leaving {
        member_id: String::new(),
        instance: Some("i".to_owned()),
    };
    let (left, _) = group.leave(vec![by_instance.clone()], 0);
    assert_eq!(left, [(by_instance, Ok(()))]);
}

#[test]
fn a_leading_instance_comes_back_without_a_rebalance_and_need_not_assign() {
    let lead = |id: &str, knows_skip: bool| Join {
        instance: Some("i".to_owned()),
        knows_skip,
        ..join("", id, "ma")
    };
    let mut group = Group::new(RULES);
    check(group.join(lead("a", true), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.sync(sync("a", 1, &[("a", "p0")]), 2, 0), &["2: share p0"]);
    check(
        group.join(lead("a2", true), 3, 0),
        &["3: a2 in 1 leader a2 members a2 skip"],
    );
    check(group.sync(sync("a2", 1, &[]), 4, 0), &["4: share p0"]);
    check(group.join(lead("a3", false), 5, 0), &["5: a3 in 1 leader a2 members "]);
}

#[test]
fn members_on_both_sides_of_the_limit() {
    let mut group = Group::new(Rules {
        initial_delay_ms: 1_000_000,
        ..RULES
    });
    for (token, id) in [(1, "a"), (2, "b"), (3, "c")] {
        check(group.join(join("", id, "m"), token, 0), &[]);
    }
    check(group.join(join("", "d", "m"), 4, 0), &["4: GroupMaxSizeReached "]);
    check(group.join(join("a", "", "m"), 5, 0), &["1: RebalanceInProgress a"]);
}

#[test]
fn ids_given_out_on_both_sides_of_the_limit() {
    let mut group = Group::new(RULES);
    let first = |id: &str| Join {
        id_first: true,
        ..join("", id, "m")
    };
    for (token, id) in [(1, "a"), (2, "b"), (3, "c")] {
        let expected = format!("{token}: MemberIdRequired {id}");
        check(group.join(first(id), token, 0), &[expected.as_str()]);
    }
    check(group.join(first("d"), 4, 0), &["4: GroupMaxSizeReached "]);
}

#[test]
fn a_new_member_that_nobody_answers_is_given_up() {
    let mut group = stable();
    let patient = |id: &'static str| Join {
        rebalance_timeout_ms: 2 * GROUP_NEW_MEMBER_WAIT_MS_MAX,
        session_timeout_ms: 3 * GROUP_NEW_MEMBER_WAIT_MS_MAX,
        ..join(id, "c", "m")
    };
    check(group.join(patient("a"), 6, 0), &[]);
    check(group.join(patient(""), 7, 0), &[]);
    assert_eq!(
        group.heartbeat("b", None, 2, 299_999),
        Err(ResponseError::RebalanceInProgress)
    );
    check(group.tick(GROUP_NEW_MEMBER_WAIT_MS_MAX - 1), &[]);
    check(group.tick(GROUP_NEW_MEMBER_WAIT_MS_MAX), &["7: UnknownMemberId c"]);
}

#[test]
fn who_joins_and_never_asks_for_its_share_is_out() {
    let mut group = Group::new(RULES);
    check(group.join(join("", "a", "ma"), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.join(join("", "b", "mb"), 2, 0), &[]);
    let joined = ["3: a in 2 leader a members a+b", "2: b in 2 leader a members "];
    check(group.join(join("a", "", "ma"), 3, 0), &joined);
    check(group.sync(sync("a", 2, &[("a", "p0")]), 4, 0), &["4: share p0"]);
    for now_ms in [9_000, 18_000, 27_000, 36_000, 45_000, 54_000] {
        assert_eq!(group.heartbeat("a", None, 2, now_ms), Ok(()));
        assert_eq!(group.heartbeat("b", None, 2, now_ms), Ok(()));
        check(group.tick(now_ms), &[]);
    }
    check(group.tick(59_999), &[]);
    assert_eq!(group.state(), State::Stable);
    check(group.tick(60_000), &[]);
    assert_eq!(group.state(), State::PreparingRebalance);
    assert_eq!(
        group.heartbeat("b", None, 2, 60_000),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn an_instance_that_is_late_keeps_its_place_until_its_session_ends() {
    let mut group = Group::new(RULES);
    let instance = |id: &str, new: &str| Join {
        instance: Some("i".to_owned()),
        session_timeout_ms: 100_000,
        ..join(id, new, "m")
    };
    check(group.join(instance("", "s"), 1, 0), &["1: s in 1 leader s members s"]);
    check(group.sync(sync("s", 1, &[]), 2, 0), &["2: share "]);
    let patient = Join {
        session_timeout_ms: 100_000,
        ..join("", "a", "ma")
    };
    check(group.join(patient, 3, 0), &[]);
    check(group.tick(60_000), &["3: a in 2 leader a members a+s"]);
    check(group.tick(100_000), &[]);
    assert_eq!(group.state(), State::PreparingRebalance);
    check(
        group.join(join("a", "", "ma"), 4, 100_000),
        &["4: a in 3 leader a members a"],
    );
}

/// What a restart in this moment would leave of a group.
fn restarted(
    group: &mut Group,
    kept: &mut (Option<StoredGroup>, BTreeMap<String, StoredMember>),
    now_ms: u64,
) -> Group {
    let changes = group.take_changes();
    if changes.group {
        kept.0 = Some(group.stored_group());
    }
    for member_id in changes.members {
        match group.stored_member(&member_id) {
            Some(member) => drop(kept.1.insert(member_id, member)),
            None => drop(kept.1.remove(&member_id)),
        }
    }
    match &kept.0 {
        Some(stored) => Group::restore(RULES, stored.clone(), kept.1.clone(), now_ms),
        None => Group::new(RULES),
    }
}

#[test]
fn a_restart_goes_back_to_the_last_whole_generation() {
    let mut kept = (None, BTreeMap::new());
    let mut group = stable();
    let mut again = restarted(&mut group, &mut kept, 5_000);
    assert_eq!(again.heartbeat("a", None, 2, 5_000), Ok(()));
    assert_eq!(again.due_ms(), Some(15_000));
    check(again.sync(sync("b", 2, &[]), 1, 5_000), &["1: share p1"]);
    // In the middle of a rebalance nothing is written: the members go on in the generation before.
    check(group.join(join("", "c", "mc"), 6, 1_000), &[]);
    let (_, replies) = group.leave(
        vec![Leaving {
            member_id: "b".to_owned(),
            instance: None,
        }],
        1_000,
    );
    check(replies, &[]);
    let mut again = restarted(&mut group, &mut kept, 5_000);
    assert_eq!(again.heartbeat("b", None, 2, 5_000), Ok(()));
    assert_eq!(
        again.heartbeat("c", None, 2, 5_000),
        Err(ResponseError::UnknownMemberId)
    );
    let joined = ["7: a in 3 leader a members a+c", "6: c in 3 leader a members "];
    check(group.join(join("a", "", "ma"), 7, 1_000), &joined);
    let shares = [("a", "p0"), ("c", "p1")];
    check(group.sync(sync("a", 3, &shares), 8, 1_000), &["8: share p0"]);
    let mut again = restarted(&mut group, &mut kept, 5_000);
    assert_eq!(
        again.heartbeat("b", None, 3, 5_000),
        Err(ResponseError::UnknownMemberId)
    );
    check(again.sync(sync("c", 3, &[]), 1, 5_000), &["1: share p1"]);
    let everybody = ["a", "c"].map(|id| Leaving {
        member_id: id.to_owned(),
        instance: None,
    });
    group.leave(everybody.to_vec(), 9_000);
    let again = restarted(&mut group, &mut kept, 20_000);
    assert_eq!(
        (again.state(), again.protocol_type(), again.state_since_ms()),
        (State::Empty, "consumer", 9_000)
    );
}

#[test]
fn an_instance_that_got_a_new_id_before_a_restart_is_not_fenced_after_it() {
    let instance = |id: &str, new: &str| Join {
        instance: Some("i".to_owned()),
        ..join(id, new, "m")
    };
    let patient = |id: &str, new: &str| Join {
        session_timeout_ms: 100_000,
        ..join(id, new, "ma")
    };
    let mut kept = (None, BTreeMap::new());
    let mut group = Group::new(RULES);
    check(group.join(patient("", "a"), 1, 0), &["1: a in 1 leader a members a"]);
    check(group.join(instance("", "i1"), 2, 0), &[]);
    let joined = ["3: a in 2 leader a members a+i1", "2: i1 in 2 leader a members "];
    check(group.join(patient("a", ""), 3, 0), &joined);
    let shares = [("a", "p0"), ("i1", "p1")];
    check(group.sync(sync("a", 2, &shares), 4, 0), &["4: share p0"]);
    check(group.sync(sync("i1", 2, &[]), 5, 0), &["5: share p1"]);
    drop(restarted(&mut group, &mut kept, 0));
    // It was silent for too long, comes back, is told its new id, and then the broker ends.
    check(group.tick(10_000), &[]);
    check(group.join(instance("", "i2"), 6, 11_000), &[]);
    let joined = ["7: a in 3 leader a members a+i2", "6: i2 in 3 leader a members "];
    check(group.join(patient("a", ""), 7, 11_000), &joined);
    let mut again = restarted(&mut group, &mut kept, 12_000);
    assert_eq!(
        again.heartbeat("i2", Some("i"), 3, 12_000),
        Err(ResponseError::UnknownMemberId)
    );
    check(again.join(instance("i2", ""), 8, 12_000), &["8: UnknownMemberId i2"]);
    // Joining without an id it takes the place that it had.
    check(
        again.join(instance("", "i3"), 9, 12_000),
        &["9: i3 in 2 leader a members "],
    );
    assert_eq!(
        again.heartbeat("i1", Some("i"), 2, 12_000),
        Err(ResponseError::FencedInstanceId)
    );
    // Who was heard of since the restart has its place.
    let mut again = restarted(&mut group, &mut kept, 12_000);
    assert_eq!(again.heartbeat("i1", Some("i"), 2, 12_000), Ok(()));
    assert_eq!(
        again.heartbeat("i2", Some("i"), 2, 12_000),
        Err(ResponseError::FencedInstanceId)
    );
}

//! Tests of the group state machine: heartbeats, and what each is told.

use super::*;

const RULES: Rules = Rules {
    members_max: 3,
    session_ms: 45_000,
    heartbeat_ms: 5_000,
    assignment_interval_ms: 0,
};

/// A group whose epochs are counted from the first one who joins.
fn group() -> Group {
    Group {
        epoch: 0,
        ..Group::new(RULES)
    }
}

fn topics(version: u64, partitions: u32) -> Topics {
    Topics::of(version, BTreeMap::from([("t".to_owned(), Topic { id: 1, partitions })]))
}

fn beat(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat {
        member_id: id.to_owned(),
        epoch,
        topics: (epoch == JOIN).then(|| BTreeSet::from(["t".to_owned()])),
        ..Heartbeat::default()
    }
}

fn told(group: &mut Group, beat: Heartbeat, topics: &Topics, now_ms: u64) -> String {
    match group.heartbeat(beat, topics, now_ms) {
        Ok(told) => match told.assignment {
            Some(assigned) => {
                let numbers: Vec<String> = assigned.iter().map(|(_, partition)| partition.to_string()).collect();
                format!("{}: {}", told.epoch, numbers.join(" "))
            }
            None => told.epoch.to_string(),
        },
        Err(refusal) => format!("{:?}", refusal.code),
    }
}

#[test]
fn members_share_partitions_and_go() {
    let mut group = group();
    let two = topics(1, 2);
    let mut check = |beat: Heartbeat, now_ms: u64, expected: &str| {
        let asked = format!("{beat:?}");
        assert_eq!(told(&mut group, beat, &two, now_ms), expected, "{asked}");
    };
    check(beat("a", JOIN), 0, "1: 0 1");
    check(beat("a", 1), 0, "1");
    check(beat("b", JOIN), 0, "2: 1");
    check(beat("a", 1), 0, "2: 0");
    check(beat("c", JOIN), 0, "3: 0");
    check(beat("d", JOIN), 0, "GroupMaxSizeReached");
    check(beat("a", 3), 0, "FencedMemberEpoch");
    check(beat("a", 1), 0, "3");
    check(beat("a", 2), 0, "3");
    check(beat("x", 3), 0, "UnknownMemberId");
    check(beat("b", LEAVE), 0, "-1");
    check(beat("b", LEAVE), 0, "UnknownMemberId");
    check(beat("c", 3), 0, "4: 1");
    assert_eq!(group.tick(44_999), Vec::<String>::new());
    assert_eq!(group.tick(45_000), ["a", "c"]);
    assert_eq!(group.state_name(), "Empty");
}

#[test]
fn every_partition_has_a_reader_and_every_reader_a_partition() {
    for partitions in 1..6 {
        for members in 1..6 {
            let mut group = Group::new(Rules {
                members_max: 10,
                ..RULES
            });
            let topics = topics(1, partitions);
            let ids: Vec<String> = (0..members).map(|member| format!("m{member}")).collect();
            for id in &ids {
                group.heartbeat(beat(id, JOIN), &topics, 0).unwrap();
            }
            let shares: Vec<Partitions> = ids.iter().map(|id| group.share_of(id)).collect();
            assert!(shares.iter().all(|share| !share.is_empty()));
            let whole: BTreeSet<(u128, u32)> = shares.iter().flat_map(Partitions::iter).collect();
            assert_eq!(whole.len(), partitions as usize);
        }
    }
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut group = group();
    let topics = topics(1, 2);
    assert_eq!(told(&mut group, beat("a", JOIN), &topics, 0), "1: 0 1");
    let changes = group.take_changes();
    assert!(changes.group);
    let members = changes
        .members
        .iter()
        .map(|id| (id.clone(), group.stored_member(id).unwrap()));
    let mut again = Group::restore(RULES, group.stored_group(), members.collect(), 1_000);
    assert_eq!(again.due_ms(), Some(46_000));
    // The topics are looked at again, and found to be what they are.
    assert_eq!(told(&mut again, beat("a", 1), &topics, 1_000), "2");
    assert_eq!(told(&mut again, beat("a", 2), &topics, 1_000), "2");
}

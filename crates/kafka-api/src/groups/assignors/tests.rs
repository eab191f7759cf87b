//! What every assignment must be, over random members, topics and changes.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::*;

fn topics() -> impl Strategy<Value = BTreeMap<u128, u32>> {
    btree_map(0_u128..6, 1_u32..12, 0..6)
}

fn subscribers(alike: bool) -> impl Strategy<Value = Subscribers> {
    let topics = btree_set(0_u128..6, 1..6);
    let ids = btree_map("[a-h]", (topics.clone(), proptest::option::of("[x-z]")), 0..7);
    (ids, topics).prop_map(move |(ids, same)| {
        let mut members = Subscribers::new();
        for (id, (topics, instance)) in ids {
            members.insert(
                id.clone(),
                Subscriber {
                    // An instance is one member's.
                    instance: instance.map(|instance| format!("{instance}{id}")),
                    topics: if alike { same.clone() } else { topics },
                    before: Partitions::default(),
                },
            );
        }
        members
    })
}

fn with_before(mut members: Subscribers, assigned: &BTreeMap<String, Partitions>) -> Subscribers {
    for (id, member) in &mut members {
        member.before = assigned.get(id).cloned().unwrap_or_default();
    }
    members
}

/// Every partition that somebody reads is assigned once, to one who reads its topic.
fn is_whole(members: &Subscribers, topics: &BTreeMap<u128, u32>, assigned: &BTreeMap<String, Partitions>) {
    assert!(assigned.keys().eq(members.keys()));
    let mut seen: BTreeSet<(u128, u32)> = BTreeSet::new();
    for (id, partitions) in assigned {
        for (topic, partition) in partitions.iter() {
            assert!(members[id].topics.contains(&topic), "{id} does not read {topic}");
            assert!(seen.insert((topic, partition)), "{topic}/{partition} is assigned twice");
        }
    }
    for (topic, partitions) in topics {
        if members.values().any(|member| member.topics.contains(topic)) {
            assert!((0..*partitions).all(|partition| seen.contains(&(*topic, partition))));
        }
    }
    assert!(
        seen.iter()
            .all(|(topic, partition)| topics.get(topic).is_some_and(|count| partition < count))
    );
}

/// No single partition could go to another reader and make it more even.
fn is_even(members: &Subscribers, assigned: &BTreeMap<String, Partitions>) {
    for (id, partitions) in assigned {
        for (topic, _) in partitions.iter() {
            for (other, member) in members {
                if member.topics.contains(&topic) {
                    assert!(
                        partitions.len() <= assigned[other].len() + 1,
                        "{id} has more than {other}"
                    );
                }
            }
        }
    }
}

fn moved(before: &BTreeMap<String, Partitions>, after: &BTreeMap<String, Partitions>) -> usize {
    let mut moved = 0;
    for (id, partitions) in before {
        let kept = |topic, partition| after.get(id).is_some_and(|now| now.contains(topic, partition));
        moved += partitions.filter(|topic, partition| !kept(topic, partition)).len();
    }
    moved
}

proptest! {
    #[test]
    fn uniform_is_whole_and_even(members in any::<bool>().prop_flat_map(subscribers), topics in topics()) {
        let assigned = Assignor::Uniform.assign(&members, &topics);
        is_whole(&members, &topics, &assigned);
        is_even(&members, &assigned);
        prop_assert_eq!(assigned, Assignor::Uniform.assign(&members, &topics));
    }

    #[test]
    fn uniform_leaves_alone_what_is_even(members in any::<bool>().prop_flat_map(subscribers), topics in topics()) {
        let assigned = Assignor::Uniform.assign(&members, &topics);
        let again = Assignor::Uniform.assign(&with_before(members, &assigned), &topics);
        prop_assert_eq!(again, assigned);
    }

    #[test]
    fn uniform_moves_no_more_than_it_must(members in subscribers(true), topics in topics(), joins in any::<bool>()) {
        prop_assume!(members.len() > 1);
        let mut fewer = members.clone();
        let last = fewer.pop_last().map(|(id, _)| id).unwrap_or_default();
        let (old, new) = if joins { (fewer, members) } else { (members, fewer) };
        let before = Assignor::Uniform.assign(&old, &topics);
        let after = Assignor::Uniform.assign(&with_before(new.clone(), &before), &topics);
        is_whole(&new, &topics, &after);
        is_even(&new, &after);
        // What the one who came gets, or what the one who went had, and nothing else changes hands.
        let whose = if joins { &after } else { &before };
        let share = whose[&last].len();
        prop_assert_eq!(moved(&before, &after), share);
    }

    #[test]
    fn uniform_is_whole_after_any_change(
        members in any::<bool>().prop_flat_map(subscribers),
        others in any::<bool>().prop_flat_map(subscribers),
        topics in topics(),
        other_topics in topics(),
    ) {
        let before = Assignor::Uniform.assign(&members, &topics);
        let others = with_before(others, &before);
        let after = Assignor::Uniform.assign(&others, &other_topics);
        is_whole(&others, &other_topics, &after);
        is_even(&others, &after);
    }

    #[test]
    fn range_is_whole_and_in_runs(members in any::<bool>().prop_flat_map(subscribers), topics in topics()) {
        let assigned = Assignor::Range.assign(&members, &topics);
        is_whole(&members, &topics, &assigned);
        for partitions in assigned.values() {
            for (_, of_topic) in partitions.by_topic() {
                let (first, last) = (of_topic.first().unwrap(), of_topic.last().unwrap());
                prop_assert_eq!((last - first) as usize + 1, of_topic.len());
            }
        }
        for topic in topics.keys() {
            let shares = members.iter().filter(|(_, member)| member.topics.contains(topic)).map(|(id, _)| {
                assigned[id].filter(|of, _| of == *topic).len()
            });
            let shares: Vec<usize> = shares.collect();
            let spread = shares.iter().max().unwrap_or(&0) - shares.iter().min().unwrap_or(&0);
            prop_assert!(spread <= 1);
        }
    }

    #[test]
    fn range_gives_the_same_numbers_of_topics_that_are_alike(members in subscribers(true), partitions in 1_u32..12) {
        let topics: BTreeMap<u128, u32> = (0..6).map(|topic| (topic, partitions)).collect();
        for of_member in Assignor::Range.assign(&members, &topics).values() {
            let mut numbers = of_member.by_topic().map(|(_, numbers)| numbers);
            let first = numbers.next();
            prop_assert!(numbers.all(|other| Some(other) == first));
        }
    }

    #[test]
    fn range_gives_an_instance_the_same_under_another_id(members in subscribers(false), topics in topics()) {
        let renamed: Subscribers = members
            .iter()
            .map(|(id, member)| match &member.instance {
                Some(_) => (format!("z{id}"), member.clone()),
                None => (id.clone(), member.clone()),
            })
            .collect();
        let before = Assignor::Range.assign(&members, &topics);
        let after = Assignor::Range.assign(&renamed, &topics);
        for (id, member) in &members {
            if member.instance.is_some() {
                prop_assert_eq!(&before[id], &after[&format!("z{id}")]);
            }
        }
    }
}

//! Tests of deliveries: what happens, and what the runs are then.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    lock_ms: 30_000,
    deliveries_max: 2,
    window: 20,
};

/// When verdicts are given.
const NOW_MS: u64 = 20_000;

const FIVE: Limit = Limit {
    events: 5,
    is_strict: false,
};

fn shown(deliveries: &Deliveries) -> String {
    let mut parts = vec![format!("{}:", deliveries.start)];
    for (first, run) in &deliveries.runs {
        let state = match &run.state {
            State::Available => "free".to_owned(),
            State::Acquired { member, .. } => member.to_string(),
            State::Acknowledged => "done".to_owned(),
            State::Archived => "out".to_owned(),
        };
        parts.push(format!("{first}-{} {state}*{}", run.last, run.count));
    }
    parts.join(" ")
}

fn check(deliveries: &Deliveries, expected: &str) {
    assert_eq!(shown(deliveries), expected);
}

fn acquire(deliveries: &mut Deliveries, member: &str, batches: &[(u64, u64)], events_max: u64, now_ms: u64) -> String {
    let limit = Limit {
        events: events_max,
        is_strict: false,
    };
    shown_of(&give(deliveries, member, batches, limit, now_ms))
}

fn found(first: u64, last: u64) -> Found {
    Found {
        first,
        last,
        is_empty: false,
    }
}

/// Batches are read, looked at and given.
fn give(deliveries: &mut Deliveries, member: &str, batches: &[(u64, u64)], limit: Limit, now_ms: u64) -> Vec<Acquired> {
    let batches: Vec<Found> = batches.iter().map(|(first, last)| found(*first, *last)).collect();
    deliveries.look_at(&batches, RULES);
    deliveries.acquire(&Arc::from(member), &batches, limit, RULES, now_ms)
}

/// A batch with nothing to give is read.
fn pass(deliveries: &mut Deliveries, first: u64, last: u64) -> bool {
    let empty = Found {
        is_empty: true,
        ..found(first, last)
    };
    deliveries.look_at(&[empty], RULES)
}

fn shown_of(acquired: &[Acquired]) -> String {
    let part = |acquired: &Acquired| format!("{}-{}*{}", acquired.first, acquired.last, acquired.count);
    acquired.iter().map(part).collect::<Vec<_>>().join(" ")
}

fn say(
    deliveries: &mut Deliveries,
    member: &str,
    first: u64,
    last: u64,
    verdicts: &[Verdict],
) -> Result<(), ResponseError> {
    let verdicts = verdicts.to_vec();
    deliveries.acknowledge(member, &[Verdicts { first, last, verdicts }], RULES, NOW_MS)
}

#[test]
fn two_members_take_turns_and_the_start_follows() {
    let mut deliveries = Deliveries::new(5);
    assert_eq!(deliveries.next(RULES), Some(5));
    assert_eq!(acquire(&mut deliveries, "a", &[(3, 9), (10, 12)], 3, 0), "5-9*1");
    assert_eq!(deliveries.next(RULES), Some(10));
    assert_eq!(acquire(&mut deliveries, "b", &[(3, 9), (10, 12)], 3, 0), "10-12*1");
    check(&deliveries, "5: 5-9 a*1 10-12 b*1");
    assert_eq!(say(&mut deliveries, "b", 10, 12, &[Verdict::Accept]), Ok(()));
    check(&deliveries, "5: 5-9 a*1 10-12 done*1");
    let each = [
        Verdict::Accept,
        Verdict::Gap,
        Verdict::Release,
        Verdict::Reject,
        Verdict::Accept,
    ];
    assert_eq!(say(&mut deliveries, "a", 5, 9, &each), Ok(()));
    check(&deliveries, "7: 7-7 free*1 8-8 out*1 9-12 done*1");
    assert_eq!(deliveries.next(RULES), Some(7));
    assert_eq!(acquire(&mut deliveries, "b", &[(3, 9)], 10, 0), "7-7*2");
    assert_eq!(say(&mut deliveries, "b", 7, 7, &[Verdict::Accept]), Ok(()));
    check(&deliveries, "13:");
    assert_eq!(deliveries.next(RULES), Some(13));
}

#[test]
fn what_is_passed_by_is_given_to_nobody() {
    let mut deliveries = Deliveries::new(0);
    assert!(pass(&mut deliveries, 0, 1));
    check(&deliveries, "2:");
    assert!(!pass(&mut deliveries, 0, 1));
    assert_eq!(acquire(&mut deliveries, "a", &[(2, 9)], 4, 0), "2-9*1");
    assert!(pass(&mut deliveries, 12, 12));
    check(&deliveries, "2: 2-9 a*1 10-12 out*0");
    // What somebody has is theirs to judge; what came back is passed by.
    assert!(!pass(&mut deliveries, 2, 9));
    say(&mut deliveries, "a", 4, 9, &[Verdict::Release]).unwrap();
    assert!(pass(&mut deliveries, 2, 9));
    check(&deliveries, "2: 2-3 a*1 4-9 out*1 10-12 out*0");
    // No further than the window.
    assert!(pass(&mut deliveries, 13, 40));
    assert_eq!(deliveries.next(RULES), None);
}

#[test]
fn only_who_holds_an_event_judges_it() {
    let mut deliveries = Deliveries::new(0);
    acquire(&mut deliveries, "a", &[(0, 4)], 5, 0);
    let wrong = Err(ResponseError::InvalidRecordState);
    assert_eq!(say(&mut deliveries, "b", 0, 4, &[Verdict::Accept]), wrong);
    assert_eq!(say(&mut deliveries, "a", 0, 5, &[Verdict::Accept]), wrong);
    assert_eq!(
        say(&mut deliveries, "a", 4, 3, &[Verdict::Accept]),
        Err(ResponseError::InvalidRequest)
    );
    assert_eq!(
        say(&mut deliveries, "a", 0, 4, &[Verdict::Accept; 4]),
        Err(ResponseError::InvalidRequest)
    );
    assert_eq!(say(&mut deliveries, "a", 0, u64::MAX, &[Verdict::Accept]), wrong);
    check(&deliveries, "0: 0-4 a*1");
    // One wrong part spoils the whole.
    let parts = [(0, 1), (9, 9)].map(|(first, last)| Verdicts {
        first,
        last,
        verdicts: vec![Verdict::Accept],
    });
    assert_eq!(deliveries.acknowledge("a", &parts, RULES, NOW_MS), wrong);
    check(&deliveries, "0: 0-4 a*1");
    assert_eq!(say(&mut deliveries, "a", 1, 2, &[Verdict::Accept]), Ok(()));
    assert_eq!(say(&mut deliveries, "a", 1, 2, &[Verdict::Accept]), wrong);
}

#[test]
fn what_is_held_too_long_is_free_and_at_last_out() {
    let mut deliveries = Deliveries::new(0);
    acquire(&mut deliveries, "a", &[(0, 1)], 5, 0);
    assert_eq!(deliveries.due_ms(), Some(30_000));
    assert!(!deliveries.expire(RULES, 29_999));
    assert!(deliveries.expire(RULES, 30_000));
    check(&deliveries, "0: 0-1 free*1");
    assert_eq!(
        say(&mut deliveries, "a", 0, 1, &[Verdict::Accept]),
        Err(ResponseError::InvalidRecordState)
    );
    acquire(&mut deliveries, "b", &[(0, 1), (2, 2)], 5, 30_000);
    check(&deliveries, "0: 0-1 b*2 2-2 b*1");
    assert!(!deliveries.release_all_of("a", RULES));
    assert!(deliveries.release_all_of("b", RULES));
    check(&deliveries, "2: 2-2 free*1");
}

#[test]
fn what_is_held_on_to_is_held_longer() {
    let mut deliveries = Deliveries::new(0);
    acquire(&mut deliveries, "a", &[(0, 4)], 5, 0);
    let renew = |deliveries: &mut Deliveries, member: &str| say(deliveries, member, 1, 2, &[Verdict::Renew]);
    assert_eq!(renew(&mut deliveries, "b"), Err(ResponseError::InvalidRecordState));
    assert_eq!(renew(&mut deliveries, "a"), Ok(()));
    // As often as before, and not from when it was given but from then on.
    check(&deliveries, "0: 0-0 a*1 1-2 a*1 3-4 a*1");
    assert!(deliveries.expire(RULES, 30_000));
    check(&deliveries, "0: 0-0 free*1 1-2 a*1 3-4 free*1");
    assert_eq!(deliveries.due_ms(), Some(NOW_MS + RULES.lock_ms));
    assert!(!deliveries.expire(RULES, NOW_MS + RULES.lock_ms - 1));
    assert_eq!(
        say(&mut deliveries, "a", 1, 2, &[Verdict::Accept, Verdict::Renew]),
        Ok(())
    );
    assert!(deliveries.expire(RULES, NOW_MS + RULES.lock_ms));
    check(&deliveries, "0: 0-0 free*1 1-1 done*1 2-4 free*1");
    assert_eq!(renew(&mut deliveries, "a"), Err(ResponseError::InvalidRecordState));
}

#[test]
fn no_more_events_are_given_than_a_strict_limit_says() {
    let check = |events: u64, is_strict: bool, expected: &str| {
        let mut deliveries = Deliveries::new(0);
        let limit = Limit { events, is_strict };
        let acquired = give(&mut deliveries, "a", &[(0, 4), (5, 9)], limit, 0);
        assert_eq!(shown_of(&acquired), expected, "{events} {is_strict}");
    };
    check(3, false, "0-4*1");
    check(3, true, "0-2*1");
    check(5, true, "0-4*1");
    check(6, false, "0-4*1 5-9*1");
    check(6, true, "0-4*1 5-5*1");
    check(100, true, "0-4*1 5-9*1");
    // What others hold is passed over.
    let mut deliveries = Deliveries::new(0);
    acquire(&mut deliveries, "b", &[(0, 1)], 2, 0);
    acquire(&mut deliveries, "c", &[(3, 3)], 1, 0);
    let limit = Limit {
        events: 2,
        is_strict: true,
    };
    let acquired = give(&mut deliveries, "a", &[(0, 4), (5, 9)], limit, 0);
    assert_eq!(shown_of(&acquired), "4-4*1 5-5*1");
}

#[test]
fn what_is_done_with_behind_the_start_is_counted() {
    let mut deliveries = Deliveries::new(5);
    assert_eq!(deliveries.done(), 0);
    acquire(&mut deliveries, "a", &[(5, 14)], 10, 0);
    say(&mut deliveries, "a", 8, 9, &[Verdict::Accept, Verdict::Reject]).unwrap();
    say(&mut deliveries, "a", 12, 12, &[Verdict::Gap]).unwrap();
    assert_eq!((deliveries.start(), deliveries.done()), (5, 3));
    say(&mut deliveries, "a", 5, 7, &[Verdict::Accept]).unwrap();
    assert_eq!((deliveries.start(), deliveries.done()), (10, 1));
}

#[test]
fn the_window_holds_back_what_is_new() {
    let mut deliveries = Deliveries::new(0);
    assert_eq!(acquire(&mut deliveries, "a", &[(0, 30)], 100, 0), "0-19*1");
    assert_eq!(deliveries.next(RULES), None);
    assert_eq!(acquire(&mut deliveries, "b", &[(0, 30)], 100, 0), "");
    say(&mut deliveries, "a", 0, 4, &[Verdict::Accept]).unwrap();
    assert_eq!(deliveries.next(RULES), Some(20));
    assert_eq!(acquire(&mut deliveries, "b", &[(0, 30)], 100, 0), "20-24*1");
}

#[test]
fn what_lies_behind_the_window_is_not_taken_for_a_gap() {
    let batches = [(0, 7), (8, 15), (16, 23), (24, 31), (40, 47)];
    let mut deliveries = Deliveries::new(0);
    assert_eq!(acquire(&mut deliveries, "a", &batches, 4, 0), "0-7*1");
    check(&deliveries, "0: 0-7 a*1 8-15 free*0 16-19 free*0");
    // Another member reads the same batches, while the window has moved.
    say(&mut deliveries, "a", 0, 1, &[Verdict::Accept]).unwrap();
    assert_eq!(
        acquire(&mut deliveries, "b", &batches, 100, 0),
        "8-15*1 16-19*1 20-21*1"
    );
    say(&mut deliveries, "b", 8, 21, &[Verdict::Accept]).unwrap();
    say(&mut deliveries, "a", 2, 7, &[Verdict::Accept]).unwrap();
    assert_eq!(
        acquire(&mut deliveries, "a", &batches, 100, 0),
        "22-23*1 24-31*1 40-41*1"
    );
    check(&deliveries, "22: 22-23 a*1 24-31 a*1 32-39 out*0 40-41 a*1");
    // A batch with nothing to give is no end of what is known either.
    let mut deliveries = Deliveries::new(0);
    let marker = Found {
        is_empty: true,
        ..found(18, 30)
    };
    deliveries.look_at(&[found(0, 17), marker, found(31, 33)], RULES);
    check(&deliveries, "0: 0-17 free*0 18-19 out*0");
}

#[test]
fn offsets_that_no_batch_holds_are_done_with() {
    let mut deliveries = Deliveries::new(0);
    assert_eq!(acquire(&mut deliveries, "a", &[(3, 4), (8, 9)], 100, 0), "3-4*1 8-9*1");
    check(&deliveries, "3: 3-4 a*1 5-7 out*0 8-9 a*1");
    // Beyond the window too.
    assert_eq!(
        acquire(&mut Deliveries::new(0), "a", &[(100, 100)], 100, 0),
        "100-100*1"
    );
    assert!(deliveries.start_at_least(9));
    check(&deliveries, "9: 9-9 a*1");
    assert!(deliveries.start_at_least(50));
    check(&deliveries, "50:");
    assert!(!deliveries.start_at_least(50));
    assert_eq!(say(&mut deliveries, "a", 3, 9, &[Verdict::Accept]), Ok(()));
}

#[test]
fn what_is_given_back_often_comes_in_ever_smaller_portions_and_at_last_alone() {
    let rules = Rules {
        deliveries_max: 6,
        window: 100,
        ..RULES
    };
    let batches = [found(0, 7), found(8, 15)];
    let all = Limit {
        events: 100,
        is_strict: false,
    };
    let mut deliveries = Deliveries::new(0);
    deliveries.look_at(&batches, rules);
    let member: Arc<str> = Arc::from("a");
    let give = |deliveries: &mut Deliveries| {
        let acquired = deliveries.acquire(&member, &batches, all, rules, 0);
        shown_of(&acquired)
    };
    let told = |deliveries: &mut Deliveries, expected: &str| {
        assert_eq!(give(deliveries), expected);
        deliveries.release_all_of("a", rules);
    };
    told(&mut deliveries, "0-7*1 8-15*1");
    told(&mut deliveries, "0-7*2 8-15*2");
    told(&mut deliveries, "0-7*3 8-15*3");
    // Half of a batch, a quarter, and nothing with it.
    told(&mut deliveries, "0-3*4");
    told(&mut deliveries, "0-1*5");
    told(&mut deliveries, "0-0*6");
    check(&deliveries, "1: 1-1 free*5 2-3 free*4 4-15 free*3");
    told(&mut deliveries, "1-1*6");
    told(&mut deliveries, "2-3*5");
    told(&mut deliveries, "2-2*6");
    told(&mut deliveries, "3-3*6");
    told(&mut deliveries, "4-7*4");
}

#[test]
fn an_event_that_may_be_given_twice_comes_with_all_others_both_times() {
    let mut deliveries = Deliveries::new(0);
    for expected in ["0-7*1", "0-7*2"] {
        assert_eq!(acquire(&mut deliveries, "a", &[(0, 7)], 100, 0), expected);
        deliveries.release_all_of("a", RULES);
    }
    check(&deliveries, "8:");
}

#[test]
fn fewer_deliveries_than_there_were_already_are_the_end() {
    let more = Rules {
        deliveries_max: 5,
        ..RULES
    };
    let mut deliveries = Deliveries::new(0);
    for _ in 0..2 {
        acquire(&mut deliveries, "a", &[(0, 3)], 100, 0);
        deliveries.release_all_of("a", more);
    }
    assert!(!deliveries.expire(more, 0));
    check(&deliveries, "0: 0-3 free*2");
    assert!(deliveries.expire(RULES, 0));
    check(&deliveries, "4:");
}

proptest! {
    /// Whatever members do, the runs have no gaps, nothing is held by two, and what was accepted does not come again.
    #[test]
    fn an_accepted_event_does_not_come_again(steps in proptest::collection::vec((0_u8..5, 0_u64..40, 0_u64..10, 0_u8..3), 1..60)) {
        let mut deliveries = Deliveries::new(0);
        let mut accepted: std::collections::BTreeSet<u64> = std::collections::BTreeSet::new();
        let mut held: BTreeMap<u64, u8> = BTreeMap::new();
        for (now_ms, (step, at, length, who)) in (0_u64..).map(|step| step * 9_000).zip(steps) {
            if deliveries.expire(RULES, now_ms) {
                held.retain(|offset, _| deliveries.runs.iter().any(|(first, run)| {
                    (*first..=run.last).contains(offset) && matches!(run.state, State::Acquired { .. })
                }));
            }
            let member: Arc<str> = Arc::from(format!("m{who}"));
            match step {
                0 | 1 => {
                    for got in give(&mut deliveries, &member, &[(at, at + length)], FIVE, now_ms) {
                        for offset in got.first..=got.last {
                            prop_assert!(!accepted.contains(&offset));
                            prop_assert_eq!(held.insert(offset, who), None);
                            prop_assert!(got.count <= RULES.deliveries_max);
                        }
                    }
                }
                2 | 3 => {
                    let verdict = if step == 2 { Verdict::Accept } else { Verdict::Release };
                    let mine = (at..=at + length).all(|offset| offset < deliveries.start || held.get(&offset) == Some(&who));
                    let said = say(&mut deliveries, &member, at, at + length, &[verdict]);
                    prop_assert_eq!(said.is_ok(), mine);
                    if said.is_ok() {
                        for offset in at..=at + length {
                            if held.remove(&offset).is_some() && step == 2 {
                                accepted.insert(offset);
                            }
                        }
                    }
                }
                _ => {
                    deliveries.release_all_of(&member, RULES);
                    held.retain(|_, of| *of != who);
                }
            }
            let mut next = deliveries.start;
            for (first, run) in &deliveries.runs {
                prop_assert_eq!(*first, next);
                prop_assert!(run.last >= *first);
                next = run.last + 1;
            }
        }
    }
}

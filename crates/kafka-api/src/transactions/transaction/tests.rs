//! Tables of what follows from what: each line is asked at the millisecond of its place.

use super::*;

/// What is asked.
#[derive(Debug, Clone, Copy)]
enum Ask {
    /// A producer comes; who it says it was.
    Init(Option<Identity>),
    /// Adds partition 0 of a stream.
    Add(Identity, &'static str),
    /// Adds a group, and an offset.
    Offset(Identity, &'static str, i64),
    /// Ends and keeps its epoch.
    End(Identity, bool),
    /// Ends and gets a new epoch.
    EndNew(Identity, bool),
    /// Nothing for so long.
    Wait(i64),
}
use Ask::{Add, End as EndOld, EndNew, Init as Come, Offset, Wait};

const TIMEOUT_MS: i32 = 1_000;

/// The state as a text: identity, phase, and what is open.
fn told(state: &Transaction) -> String {
    let phase = match &state.phase {
        Phase::Empty => "empty".to_owned(),
        Phase::Committed => "committed".to_owned(),
        Phase::Aborted => "aborted".to_owned(),
        Phase::Open(open) => {
            let mut parts: Vec<String> = open.streams.keys().cloned().collect();
            parts.extend(
                open.offsets
                    .iter()
                    .map(|(group, commit)| format!("{group}@{}", commit.offset)),
            );
            format!("open {}", parts.join(" "))
        }
    };
    format!("{}/{} {phase}", state.producer_id, state.epoch)
}

/// Asks one after another, from a state at this identity; what the last one answers, with the marker that it writes.
fn check_from(from: Option<Identity>, asks: &[Ask], expected: &str) {
    let mut state = from.map(|(producer_id, epoch)| Transaction {
        producer_id,
        epoch,
        previous: None,
        timeout_ms: TIMEOUT_MS,
        phase: Phase::Empty,
        updated_ms: 0,
    });
    let mut now_ms = 0;
    let mut answer = String::new();
    for ask in asks {
        now_ms += 1;
        let known = state.clone();
        let known = || known.clone().ok_or(ResponseError::InvalidProducerIdMapping);
        let step = match *ask {
            Come(given) => {
                let asked = Init {
                    given,
                    timeout_ms: TIMEOUT_MS,
                };
                let new = needs_producer_id(state.as_ref(), &asked).then_some(100);
                init(state.as_ref(), asked, new, now_ms)
            }
            Add(who, stream) => {
                let added = Added {
                    places: vec![Place {
                        stream: stream.to_owned(),
                        stream_id: 1,
                        partition: 0,
                    }],
                    ..Added::default()
                };
                known().and_then(|known| known.add(who, &added, now_ms))
            }
            Offset(who, group, offset) => {
                let commit = Commit {
                    stream: "s".to_owned(),
                    stream_id: 1,
                    partition: 0,
                    offset,
                    leader_epoch: -1,
                    metadata: String::new(),
                    expires_ms: None,
                };
                let added = Added {
                    group: Some(group.to_owned()),
                    offsets: vec![commit],
                    ..Added::default()
                };
                known().and_then(|known| known.add(who, &added, now_ms))
            }
            EndOld(who, committed) => known().and_then(|known| known.end_as(who, committed, now_ms)),
            EndNew(who, committed) => known().and_then(|known| {
                let new = known.needs_producer_id_after().then_some(100);
                known.end_with_new_epoch(who, committed, new, now_ms)
            }),
            Wait(ms) => {
                now_ms += ms;
                known().map(|known| known.time_out(now_ms))
            }
        };
        answer = match step {
            Ok(None) => format!("as before: {}", state.as_ref().map(told).unwrap_or_default()),
            Ok(Some(step)) => {
                let marker = step.end.as_ref().map_or(String::new(), |end| {
                    let how = if end.committed { "commit" } else { "abort" };
                    let streams: Vec<&str> = end.open.streams.keys().map(String::as_str).collect();
                    format!(", {how} {}/{} in {}", end.producer_id, end.epoch, streams.join(" "))
                });
                let told = told(&step.next);
                state = Some(step.next);
                format!("{told}{marker}")
            }
            Err(code) => format!("{code:?}"),
        };
    }
    assert_eq!(answer, expected, "{asks:?}");
}

fn check(asks: &[Ask], expected: &str) {
    check_from(Some((7, 3)), asks, expected);
}

const ME: Identity = (7, 3);

#[test]
fn who_comes_gets_an_epoch_above_all_before() {
    check_from(None, &[Come(None)], "100/0 empty");
    check_from(None, &[Come(Some((5, 9)))], "100/0 empty");
    check(&[Come(None)], "7/4 empty");
    check(&[Come(None), Come(None)], "7/5 empty");
    check(&[Add(ME, "a"), Come(None)], "7/4 empty, abort 7/4 in a");
    check(&[Add(ME, "a"), EndOld(ME, true), Come(None)], "7/4 empty");
    check(&[Add(ME, "a"), Come(None), Add(ME, "a")], "ProducerFenced");
    check(&[Add(ME, "a"), Come(None), EndOld(ME, true)], "ProducerFenced");
}

#[test]
fn who_goes_on_after_an_error_names_who_it_was() {
    check(&[Come(Some(ME))], "7/4 empty");
    check(&[Come(Some(ME)), Come(Some(ME))], "as before: 7/4 empty");
    check(&[Come(Some(ME)), Come(Some((7, 4)))], "7/5 empty");
    check(&[Come(None), Come(Some(ME))], "ProducerFenced");
    check(&[Come(Some((6, 3)))], "ProducerFenced");
    check(&[Add(ME, "a"), Come(Some(ME))], "7/4 empty, abort 7/4 in a");
    check(&[Come(Some(ME)), Add((7, 4), "a"), Come(Some(ME))], "ProducerFenced");
}

#[test]
fn a_transaction_opens_with_what_is_added() {
    check(&[Add(ME, "a")], "7/3 open a");
    check(&[Add(ME, "a"), Add(ME, "b")], "7/3 open a b");
    check(&[Add(ME, "a"), Add(ME, "a")], "as before: 7/3 open a");
    check(&[Offset(ME, "g", 4)], "7/3 open g@4");
    check(
        &[Offset(ME, "g", 4), Offset(ME, "g", 5), Offset(ME, "h", 1)],
        "7/3 open g@5 h@1",
    );
    check(&[Add((7, 2), "a")], "ProducerFenced");
    check(&[Add((7, 4), "a")], "ProducerFenced");
    check(&[Add((8, 3), "a")], "InvalidProducerIdMapping");
    check_from(None, &[Add(ME, "a")], "InvalidProducerIdMapping");
}

#[test]
fn an_end_that_keeps_the_epoch() {
    check(&[Add(ME, "a"), EndOld(ME, true)], "7/3 committed, commit 7/3 in a");
    check(&[Add(ME, "a"), EndOld(ME, false)], "7/3 aborted, abort 7/3 in a");
    check(
        &[Add(ME, "a"), EndOld(ME, true), EndOld(ME, true)],
        "as before: 7/3 committed",
    );
    check(&[Add(ME, "a"), EndOld(ME, true), EndOld(ME, false)], "InvalidTxnState");
    check(
        &[Add(ME, "a"), EndOld(ME, false), EndOld(ME, false)],
        "as before: 7/3 aborted",
    );
    check(&[Add(ME, "a"), EndOld(ME, true), Add(ME, "b")], "7/3 open b");
    check(&[EndOld(ME, true)], "InvalidTxnState");
    check(&[EndOld(ME, false)], "InvalidTxnState");
    check(&[EndOld((7, 2), true)], "ProducerFenced");
    check(&[EndOld((6, 3), true)], "InvalidProducerIdMapping");
}

#[test]
fn an_end_that_bumps_the_epoch() {
    check(&[Add(ME, "a"), EndNew(ME, true)], "7/4 committed, commit 7/4 in a");
    check(&[Add(ME, "a"), EndNew(ME, false)], "7/4 aborted, abort 7/4 in a");
    check(
        &[Add(ME, "a"), EndNew(ME, true), EndNew(ME, true)],
        "as before: 7/4 committed",
    );
    check(&[Add(ME, "a"), EndNew(ME, true), EndNew(ME, false)], "InvalidTxnState");
    check(&[Add(ME, "a"), EndNew(ME, true), Add(ME, "a")], "ProducerFenced");
    check(
        &[Add(ME, "a"), EndNew(ME, true), Add((7, 4), "b"), EndNew(ME, true)],
        "ProducerFenced",
    );
    check(&[EndNew(ME, true)], "InvalidTxnState");
    check(&[EndNew(ME, false)], "7/4 aborted");
    check(&[EndNew(ME, false), EndNew(ME, false)], "as before: 7/4 aborted");
    check(&[EndNew(ME, false), EndNew((7, 4), false)], "7/5 aborted");
}

#[test]
fn epochs_that_run_out_go_on_under_another_producer_id() {
    let last = (7, EPOCH_LAST);
    let before = (7, EPOCH_LAST - 1);
    check_from(Some(before), &[Come(None)], "7/32766 empty");
    check_from(Some(last), &[Come(None)], "100/0 empty");
    check_from(
        Some(last),
        &[Add(last, "a"), Come(None)],
        "100/0 empty, abort 7/32767 in a",
    );
    check_from(
        Some(last),
        &[Add(last, "a"), EndNew(last, true)],
        "100/0 committed, commit 7/32767 in a",
    );
    check_from(
        Some(last),
        &[Add(last, "a"), EndNew(last, true), EndNew(last, true)],
        "as before: 100/0 committed",
    );
    check_from(
        Some(last),
        &[Come(Some(last)), Come(Some(last))],
        "as before: 100/0 empty",
    );
    check_from(
        Some(last),
        &[Add(last, "a"), Wait(1_000)],
        "7/32767 aborted, abort 7/32767 in a",
    );
    check_from(Some(last), &[Add(last, "a"), Wait(1_000), Come(None)], "100/0 empty");
}

#[test]
fn what_takes_too_long_is_aborted_and_its_producer_fenced() {
    check(&[Add(ME, "a"), Wait(998)], "as before: 7/3 open a");
    check(&[Add(ME, "a"), Wait(999)], "7/4 aborted, abort 7/4 in a");
    check(
        &[Add(ME, "a"), Add(ME, "b"), Wait(998)],
        "7/4 aborted, abort 7/4 in a b",
    );
    check(&[Wait(5_000)], "as before: 7/3 empty");
    check(&[Add(ME, "a"), Wait(999), EndOld(ME, true)], "ProducerFenced");
    check(&[Add(ME, "a"), Wait(999), EndNew(ME, true)], "ProducerFenced");
    check(&[Add(ME, "a"), Wait(999), Come(Some(ME))], "ProducerFenced");
    check(&[Add(ME, "a"), Wait(999), Come(None)], "7/5 empty");
}

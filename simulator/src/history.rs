//! Whether what clients saw of one version could have happened one after another, each act at some moment between its call and its answer.
//!
//! An entity's version is a register: an append moves it on, a conditional one only from the version that it expects, and a read tells it. The search is that of Wing and
//! Gong (Testing and verifying concurrent objects, 1993) with Lowe's memory of what was tried (Testing for linearizability, 2017). It knows nothing of how the log works, nor what the log holds.

use std::collections::HashSet;

use headwater_records::Version;

/// The most acts that one register is judged by: a set of them is one number.
pub(crate) const ACTS_MAX: usize = 128;

/// What a client did, and what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It read the version.
    Read(Option<Version>),
    /// It appended, whatever the version was.
    Appended(Version),
    /// It appended on the condition that the version was this one.
    AppendedAfter(Option<Version>, Version),
    /// It was refused: what it expected is not what it was told.
    Outrun {
        expected: Option<Version>,
        found: Option<Version>,
    },
}

/// An act, and when it was asked for and answered: numbers that grow.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) called: u64,
    /// `u64::MAX`: nobody was told, and it happened nevertheless.
    pub(crate) answered: u64,
    pub(crate) act: Act,
}

/// Whether all of it could have happened one after another.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    assert!(operations.len() <= ACTS_MAX, "too many acts for one register");
    let all = (1..operations.len()).fold(u128::from(!operations.is_empty()), |all, number| all | 1 << number);
    let mut tried: HashSet<(u128, Option<Version>)> = HashSet::new();
    let mut left: Vec<(u128, Option<Version>)> = vec![(0, None)];
    while let Some((done, version)) = left.pop() {
        if done == all {
            return true;
        }
        if !tried.insert((done, version)) {
            continue;
        }
        left.extend(next(operations, done, version));
    }
    false
}

/// What may happen next, where these have happened: the acts done then, and the version.
fn next(operations: &[Operation], done: u128, version: Option<Version>) -> Vec<(u128, Option<Version>)> {
    let open = || (0..operations.len()).filter(|number| done & (1 << number) == 0);
    // Nothing happens behind the answer of what has not happened.
    let upto = open()
        .map(|number| operations[number].answered)
        .min()
        .unwrap_or(u64::MAX);
    let may_be_next = |number: &usize| operations[*number].called < upto;
    let mut found: Vec<(u128, Option<Version>)> = Vec::new();
    for number in open().filter(may_be_next) {
        let then = (done | 1 << number, operations[number].act.on(version));
        match then {
            (_, None) => {}
            // What changes nothing may as well happen now as later: nothing else need be tried.
            (done, Some(same)) if same == version => return vec![(done, version)],
            (done, Some(next)) => found.push((done, next)),
        }
    }
    found
}

impl Act {
    /// The version after it, where it can happen on this one.
    fn on(&self, version: Option<Version>) -> Option<Option<Version>> {
        match self {
            Act::Read(read) => (*read == version).then_some(version),
            Act::Appended(at) => Some(Some(*at)),
            Act::AppendedAfter(expected, at) => (*expected == version).then_some(Some(*at)),
            Act::Outrun { expected, found } => (*found == version && expected != found).then_some(version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Version {
        Version { partition: 0, offset }
    }

    fn check(acts: &[(u64, u64, Act)], expected: bool) {
        let operation = |(called, answered, act): &(u64, u64, Act)| Operation {
            called: *called,
            answered: *answered,
            act: act.clone(),
        };
        let operations: Vec<Operation> = acts.iter().map(operation).collect();
        assert_eq!(is_linearizable(&operations), expected, "{acts:?}");
    }

    #[test]
    fn what_could_have_happened_one_after_another_is_told_from_what_could_not() {
        let first = || (1, 4, Act::AppendedAfter(None, at(0)));
        check(&[], true);
        check(&[first()], true);
        // While it is on its way a read may see it or not; behind its answer it must.
        check(&[first(), (2, 3, Act::Read(None))], true);
        check(&[first(), (2, 3, Act::Read(Some(at(0))))], true);
        check(&[first(), (5, 6, Act::Read(None))], false);
        // Once it was seen it stays seen.
        check(
            &[first(), (2, 3, Act::Read(Some(at(0)))), (5, 6, Act::Read(None))],
            false,
        );
        // Two that expect the same cannot both have it, however they overlap.
        check(&[first(), (2, 3, Act::AppendedAfter(None, at(1)))], false);
        let outrun = |expected, found| Act::Outrun { expected, found };
        check(&[first(), (2, 3, outrun(None, Some(at(0))))], true);
        check(&[first(), (2, 3, outrun(Some(at(7)), None))], true);
        check(&[first(), (5, 6, outrun(Some(at(0)), Some(at(0))))], false);
        // Others append whatever there is.
        check(
            &[first(), (2, 9, Act::Appended(at(1))), (5, 6, Act::Read(Some(at(0))))],
            true,
        );
        let plain = || [(1, 4, Act::Appended(at(0))), (2, 4, Act::Appended(at(1)))];
        let [one, other] = plain();
        check(&[one, other, (5, 6, Act::Read(Some(at(0))))], true);
        let [one, other] = plain();
        check(
            &[
                one,
                other,
                (5, 6, Act::Read(Some(at(0)))),
                (7, 8, Act::Read(Some(at(1)))),
            ],
            false,
        );
        // Whoever expected nothing came before.
        check(
            &[first(), (2, 4, Act::Appended(at(1))), (5, 6, Act::Read(Some(at(0))))],
            false,
        );
        // Nobody was told: it may have happened at any time since.
        let untold = || (2, u64::MAX, Act::AppendedAfter(Some(at(0)), at(1)));
        check(
            &[
                first(),
                untold(),
                (5, 6, Act::Read(Some(at(0)))),
                (7, 8, Act::Read(Some(at(1)))),
            ],
            true,
        );
        check(
            &[
                first(),
                untold(),
                (5, 6, Act::Read(Some(at(1)))),
                (7, 8, Act::Read(Some(at(0)))),
            ],
            false,
        );
    }
}

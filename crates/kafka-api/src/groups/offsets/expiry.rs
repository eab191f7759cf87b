//! Which commits have been kept long enough.
//!
//! The rules are Kafka's (KIP-211): a group without members keeps its positions for the retention after it became empty; a
//! group with members keeps those of the topics it reads; positions of clients that are in no group count from their commit.

use std::collections::BTreeSet;

use super::commit::{Committed, Place};

/// From when on the retention of a group's commits counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Basis {
    /// From each commit on.
    Commit,
    /// From a moment on, milliseconds since 1970: when the group became empty.
    Since(u64),
    /// From each commit on, for the topics that no member reads.
    CommitUnlessRead(BTreeSet<String>),
    /// Not at all while the group is busy.
    Never,
}

/// Whether a commit's time is over.
pub(super) fn is_over(basis: &Basis, place: &Place, committed: &Committed, retention_ms: u64, now_ms: u64) -> bool {
    let since_ms = match basis {
        Basis::Never => return false,
        Basis::CommitUnlessRead(topics) if topics.contains(&place.0) => return false,
        Basis::Commit | Basis::CommitUnlessRead(_) => committed.committed_ms,
        Basis::Since(since_ms) => *since_ms,
    };
    match committed.expires_ms {
        Some(expires_ms) => now_ms >= expires_ms,
        None => now_ms.saturating_sub(since_ms) >= retention_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_kept_up_to_its_time() {
        let check = |basis: &Basis, expires_ms: Option<u64>, now_ms: u64, expected: bool| {
            let committed = Committed {
                offset: 1,
                leader_epoch: -1,
                metadata: String::new(),
                committed_ms: 1_000,
                expires_ms,
                stream_id: 7,
                at: 0,
            };
            let place = ("orders".to_owned(), 0);
            assert_eq!(
                is_over(basis, &place, &committed, 500, now_ms),
                expected,
                "{basis:?} {expires_ms:?} at {now_ms}"
            );
        };
        check(&Basis::Commit, None, 1_499, false);
        check(&Basis::Commit, None, 1_500, true);
        check(&Basis::Since(2_000), None, 2_499, false);
        check(&Basis::Since(2_000), None, 2_500, true);
        check(&Basis::Never, None, u64::MAX, false);
        let read = |topic: &str| Basis::CommitUnlessRead(BTreeSet::from([topic.to_owned()]));
        check(&read("orders"), None, u64::MAX, false);
        check(&read("others"), None, 1_500, true);
        check(&Basis::Commit, Some(9_000), 8_999, false);
        check(&Basis::Commit, Some(9_000), 9_000, true);
        check(&Basis::Commit, Some(1_200), 1_200, true);
    }
}

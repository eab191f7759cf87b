//! How a member gets from what it has to what it shall have: first it gives up, then it gets what is free.
//!
//! ```text
//!            shall give up                          has given up
//! Stable -----------------> Unrevoked (epoch stays) -----------> Stable, or Unreleased where others
//!                                                                still hold what it shall get
//! ```
//!
//! Source: KIP-848, "Member reconciliation".

use super::member::{Member, Progress};
use crate::groups::partitions::Partitions;

/// Moves a member on towards its target. `owned` is what it says it has, where it said so; `is_free` whether nobody else holds
/// a partition.
pub(super) fn reconcile(
    member: &mut Member,
    target_epoch: i32,
    owned: Option<&Partitions>,
    is_free: impl Fn(u128, u32) -> bool,
) {
    let still_has = |revoking: &Partitions| match owned {
        None => true,
        Some(owned) => revoking
            .iter()
            .any(|(topic, partition)| owned.contains(topic, partition)),
    };
    let epoch = match member.progress {
        Progress::Stable if member.epoch == target_epoch => return,
        Progress::Unrevoked if still_has(&member.revoking) => return,
        Progress::Unrevoked => member.epoch + 1,
        Progress::Stable | Progress::Unreleased => member.epoch,
    };
    let target = &member.target;
    let mut assigned = member
        .assigned
        .filter(|topic, partition| target.contains(topic, partition));
    let revoking = member
        .assigned
        .filter(|topic, partition| !target.contains(topic, partition));
    if !revoking.is_empty() && still_has(&revoking) {
        member.enter(epoch);
        member.progress = Progress::Unrevoked;
        member.assigned = assigned;
        member.revoking = revoking;
        return;
    }
    member.progress = Progress::Stable;
    for (topic, partition) in target.iter() {
        if assigned.contains(topic, partition) {
            continue;
        }
        if is_free(topic, partition) {
            assigned.insert(topic, partition);
        } else {
            member.progress = Progress::Unreleased;
        }
    }
    member.enter(target_epoch);
    member.assigned = assigned;
    member.revoking = Partitions::default();
}

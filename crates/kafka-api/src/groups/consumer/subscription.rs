//! Which topics members read by patterns of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::Member;
use crate::groups::topics::Topics;

/// The names that each pattern of the members chooses.
pub(super) fn resolve<'a>(
    members: impl Iterator<Item = &'a Member>,
    topics: &Topics,
) -> BTreeMap<String, Arc<BTreeSet<String>>> {
    let mut chosen: BTreeMap<String, Arc<BTreeSet<String>>> = BTreeMap::new();
    for pattern in members.filter_map(|member| member.regex.as_ref()) {
        if !chosen.contains_key(pattern) {
            // One that cannot be was refused when the member came with it.
            chosen.insert(pattern.clone(), topics.chosen_by(pattern).unwrap_or_default());
        }
    }
    chosen
}

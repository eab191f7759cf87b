//! What compaction may have taken away from a partition, worked out from what was asked and answered, not from what the log holds.
//!
//! Invariants
//! - The newest committed value of every key is never among it; a tombstone is once its stream's time for tombstones can be over.
//! - An event of a transaction that is open is never among it.
//! - Only what was known to be there before compaction ran is among it: whoever compacts waits for everything that is on its way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use headwater_records::Marker;

use crate::reading::PartitionRead;
use crate::world::{Fate, Kind, World, is_tombstone, key};

/// What need not be there any more.
#[derive(Default)]
pub(crate) struct Gone {
    pub(crate) offsets: BTreeSet<u64>,
    /// The ends of transactions among it, in order: offset, producer, how it ended.
    ends: Vec<(u64, i64, Marker)>,
}

/// An event that was asked for and landed.
struct Known<'a> {
    value: &'a str,
    kind: Kind,
    producer: i64,
    /// The time for which a tombstone, or the end of a transaction, stays can be over.
    may_be_over: bool,
}

impl Gone {
    pub(crate) fn of(world: &World, here: (usize, u32)) -> Gone {
        let mut gone = Gone::default();
        if !world.streams[here.0].was_compacted {
            return gone;
        }
        // From the last to the first: how each producer's transaction ended, and which keys a newer event has.
        let mut ended: HashMap<i64, Marker> = HashMap::new();
        let mut superseded: BTreeSet<&str> = BTreeSet::new();
        for (offset, event) in landed(world, here).into_iter().rev() {
            let counts = match event.kind {
                Kind::Ends(marker, _) => {
                    ended.insert(event.producer, marker);
                    if event.may_be_over {
                        gone.offsets.insert(offset);
                        gone.ends.push((offset, event.producer, marker));
                    }
                    continue;
                }
                Kind::Plain => true,
                Kind::Transactional => match ended.get(&event.producer) {
                    None => continue,
                    Some(marker) => *marker == Marker::Committed,
                },
            };
            let key = key(event.value).unwrap_or_default();
            let is_over = is_tombstone(event.value) && event.may_be_over;
            if !counts || superseded.contains(key) || is_over {
                gone.offsets.insert(offset);
            }
            if counts {
                superseded.insert(key);
            }
        }
        gone.ends.reverse();
        gone
    }

    /// The ends that are not there any more.
    pub(crate) fn missing_ends(&self, partition: &PartitionRead) -> Vec<(u64, i64, Marker)> {
        let there: BTreeSet<u64> = partition.events.iter().map(|event| event.offset).collect();
        let missing = self.ends.iter().filter(|(offset, ..)| !there.contains(offset));
        missing.copied().collect()
    }
}

/// Everything known to have landed in a partition, by offset.
fn landed(world: &World, here: (usize, u32)) -> BTreeMap<u64, Known<'_>> {
    let mut known = BTreeMap::new();
    let tombstone_ms = world.streams[here.0].tombstone_ms_min;
    for append in world.appends.iter().filter(|append| append.fate == Fate::Done) {
        let Some(landed) = &append.landed else { continue };
        for (part, base) in append.parts.iter().zip(&landed.offsets) {
            let Some(base) = base.filter(|_| (part.stream, part.partition) == here) else {
                continue;
            };
            for (offset, value) in (base..).zip(&part.values) {
                let event = Known {
                    value,
                    kind: part.kind,
                    producer: part.producer.map_or(-1, |producer| producer.id),
                    may_be_over: append.may_be_over(tombstone_ms),
                };
                known.insert(offset, event);
            }
        }
    }
    known
}

//! The damage that readers met since the start: where, what, and when it was last said.
//!
//! Whoever asks for what is damaged asks again, several times a second: a place is said in the program's log once a minute at most.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::error::ReadError;
use crate::limits::{DAMAGED_PLACES_MAX, DAMAGED_SAID_EVERY_US};
use crate::read::PartitionReader;
use crate::shared::Shared;

/// A place of the log that a reader could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPlace {
    /// The stream.
    pub stream: String,
    /// The partition.
    pub partition: u32,
    /// The first offset that could not be read.
    pub offset: u64,
    /// File, place and what is wrong there.
    pub what: String,
}

/// Those places, by stream, partition and offset.
#[derive(Default)]
pub(crate) struct DamagedPlaces {
    met: Mutex<BTreeMap<(u128, u32, u64), Met>>,
}

struct Met {
    what: String,
    said_us: i64,
}

impl DamagedPlaces {
    /// Notes what a reader met, where it is damage.
    pub(crate) fn meet(&self, reader: &PartitionReader<'_>, error: &ReadError) {
        let ReadError::Damaged { offset, what, .. } = error else {
            return;
        };
        let (partition, now_us) = (&reader.partition, reader.shared.host.clock.now_us());
        let key = (partition.stream, partition.number, *offset);
        let mut met = self.met.lock();
        let known = met.get(&key);
        let is_said = known.is_some_and(|known| now_us.abs_diff(known.said_us) < DAMAGED_SAID_EVERY_US);
        if is_said || (known.is_none() && met.len() >= DAMAGED_PLACES_MAX) {
            return;
        }
        let what = what.clone();
        met.insert(key, Met { what, said_us: now_us });
        drop(met);
        tracing::error!(
            "{error}; `headwater log verify` of the stopped program names every damaged place, `headwater log repair` goes on without what is lost"
        );
    }

    /// Those whose events are still kept.
    pub(crate) fn all(&self, shared: &Shared) -> Vec<DamagedPlace> {
        let streams = shared.streams.read();
        let mut met = self.met.lock();
        met.retain(|(stream, partition, offset), _| {
            let partition = streams.find(*stream, *partition);
            partition.is_some_and(|partition| *offset >= partition.start().offset)
        });
        let mut places: Vec<DamagedPlace> = Vec::with_capacity(met.len());
        for ((stream, partition, offset), met) in met.iter() {
            let Some(stream) = streams.by_id.get(stream) else {
                continue;
            };
            places.push(DamagedPlace {
                stream: stream.name.to_string(),
                partition: *partition,
                offset: *offset,
                what: met.what.clone(),
            });
        }
        places
    }
}

//! Batches that entities' events were found in lately, opened: the next event in one of them is found without a walk over those before it.
//!
//! Two tables take turns, as with [`crate::entities::run::blocks`]: a batch that is used goes into the younger one; when that is full it becomes the
//! older one, and what the older one held is forgotten.
//!
//! Invariants
//! - What is here is what the log holds: no batch of a transaction, which may be taken back, and none where compaction takes events out.
//! - What is below the start of its partition is not given, whatever is here.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_records::IndexedEvents;
use parking_lot::Mutex;

use crate::read::stored::StoredBatch;
use crate::streams::Partition;

/// A batch's stream, partition and first offset.
type Place = (u128, u32, u64);

/// A batch whose events are found by their offsets.
pub(crate) struct OpenBatch {
    pub(crate) stored: StoredBatch,
    /// `None` where it cannot be opened: then it has no events for anybody.
    pub(crate) events: Option<IndexedEvents>,
}

/// The batches.
pub(crate) struct OpenBatches {
    tables: Mutex<Tables>,
    /// How many bytes the younger table takes.
    bytes_max: usize,
}

#[derive(Default)]
struct Tables {
    young: BTreeMap<Place, Arc<OpenBatch>>,
    young_bytes: usize,
    old: BTreeMap<Place, Arc<OpenBatch>>,
}

impl OpenBatch {
    /// What a batch takes here beside its bytes and its places, roughly.
    const OVERHEAD_BYTES: usize = 256;

    pub(crate) fn new(stored: StoredBatch) -> OpenBatch {
        let events = stored.batch.open().ok().map(IndexedEvents::new);
        OpenBatch { stored, events }
    }

    /// Whether an offset is one of its own.
    pub(crate) fn holds(&self, offset: u64) -> bool {
        (self.stored.batch.base_offset()..self.stored.batch.next_offset()).contains(&offset)
    }

    /// What it takes here.
    pub(super) fn bytes(&self) -> usize {
        let opened = self.events.as_ref().map_or(0, IndexedEvents::bytes);
        self.stored.batch.bytes().len() + opened + OpenBatch::OVERHEAD_BYTES
    }
}

impl OpenBatches {
    /// At most about so many bytes.
    pub(crate) fn new(bytes_max: usize) -> OpenBatches {
        OpenBatches {
            tables: Mutex::default(),
            bytes_max: bytes_max / 2,
        }
    }

    /// The batch that holds an offset of a partition, where it is here.
    pub(crate) fn get(&self, partition: &Partition, offset: u64) -> Option<Arc<OpenBatch>> {
        if offset < partition.start().offset.max(partition.compacted().offset) {
            return None;
        }
        let mut tables = self.tables.lock();
        let upto = (partition.stream, partition.number, offset);
        if let Some(found) = held(&tables.young, upto) {
            return Some(found);
        }
        let found = held(&tables.old, upto)?;
        let place = (partition.stream, partition.number, found.stored.batch.base_offset());
        tables.old.remove(&place);
        self.put(&mut tables, place, found.clone());
        Some(found)
    }

    /// Keeps a batch of a partition, where it stays as it is until it is gone.
    pub(crate) fn keep(&self, partition: &Partition, opened: &Arc<OpenBatch>) {
        let batch = &opened.stored.batch;
        let may_change = batch.is_transactional() || batch.base_offset() < partition.compacted().offset;
        if !may_change && opened.bytes() <= self.bytes_max {
            let place = (partition.stream, partition.number, batch.base_offset());
            self.put(&mut self.tables.lock(), place, opened.clone());
        }
    }

    fn put(&self, tables: &mut Tables, place: Place, opened: Arc<OpenBatch>) {
        let bytes = opened.bytes();
        if tables.young_bytes + bytes > self.bytes_max {
            tables.old = std::mem::take(&mut tables.young);
            tables.young_bytes = 0;
        }
        if tables.young.insert(place, opened).is_none() {
            tables.young_bytes += bytes;
        }
    }
}

/// The last batch of a table at or before a place, where it holds the place's offset.
fn held(table: &BTreeMap<Place, Arc<OpenBatch>>, upto: Place) -> Option<Arc<OpenBatch>> {
    let (place, found) = table.range(..=upto).next_back()?;
    let is_there = (place.0, place.1) == (upto.0, upto.1) && found.holds(upto.2);
    is_there.then(|| found.clone())
}

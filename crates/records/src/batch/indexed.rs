//! Finding one event of a batch by its offset, without a walk over those before it.
//!
//! Invariant: it finds exactly the events that [`Events::iter`] gives before its first fault.

use std::hint::black_box;

use super::{EventSlice, Events};
use crate::limits::{BATCH_INFLATED_BYTES_MAX, EVENTS_RESERVED_MAX};

const _: () = assert!(
    BATCH_INFLATED_BYTES_MAX <= u32::MAX as usize,
    "a place in a batch is held in 32 bits"
);

/// The events of one batch, and where each of them begins.
#[derive(Debug, Clone)]
pub struct IndexedEvents {
    events: Events,
    places: Vec<EventPlace>,
}

/// Where one event stands: the distance of its offset from the batch's first, and where it begins in the plain bytes.
#[derive(Debug, Clone, Copy)]
pub struct EventPlace {
    delta: u32,
    at: u32,
}

impl IndexedEvents {
    /// Walks over the events once.
    pub fn new(events: Events) -> IndexedEvents {
        let reserved = (events.event_count as usize).min(EVENTS_RESERVED_MAX);
        let mut places: Vec<EventPlace> = Vec::with_capacity(reserved);
        let mut walk = events.iter();
        loop {
            let at = events.plain.len() - walk.rest.len();
            let Some(Ok(slice)) = walk.next() else { break };
            places.push(EventPlace {
                delta: (slice.offset - events.base_offset) as u32,
                at: at as u32,
            });
        }
        IndexedEvents { events, places }
    }

    /// The events themselves.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The event of an offset, where the batch holds it.
    pub fn get(&self, offset: u64) -> Option<EventSlice<'_>> {
        self.at(self.place(offset)?)
    }

    /// Where the event of an offset stands, where the batch holds it.
    pub fn place(&self, offset: u64) -> Option<EventPlace> {
        let delta = u32::try_from(offset.checked_sub(self.events.base_offset)?).ok()?;
        // Where compaction took none out, an event's distance is its number.
        let dense = self.places.get(delta as usize).filter(|place| place.delta == delta);
        if let Some(place) = dense {
            return Some(*place);
        }
        let found = self.places.binary_search_by_key(&delta, |place| place.delta).ok()?;
        self.places.get(found).copied()
    }

    /// The event at a place of this batch.
    pub fn at(&self, place: EventPlace) -> Option<EventSlice<'_>> {
        let mut rest = self.events.plain.get(place.at as usize..)?;
        self.events.decode(&mut rest, place.delta).ok()
    }

    /// Has the processor fetch the event at a place. Of many that are fetched one after another it waits for all at once; where each is read as soon as it is there, for
    /// one after another.
    pub fn fetch(&self, place: EventPlace) {
        black_box(self.events.plain.get(place.at as usize).copied());
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.events.plain.len() + self.places.capacity() * size_of::<EventPlace>()
    }
}

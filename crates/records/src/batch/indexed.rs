//! Finding one event of a batch by its offset, without a walk over those before it.
//!
//! Invariant: it finds exactly the events that [`Events::iter`] gives before its first fault.

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
    places: Vec<Place>,
}

/// One event: the distance of its offset from the batch's first, and where it begins in the plain bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    delta: u32,
    at: u32,
}

impl IndexedEvents {
    /// Walks over the events once.
    pub fn new(events: Events) -> IndexedEvents {
        let reserved = (events.event_count as usize).min(EVENTS_RESERVED_MAX);
        let mut places: Vec<Place> = Vec::with_capacity(reserved);
        let mut walk = events.iter();
        loop {
            let at = events.plain.len() - walk.rest.len();
            let Some(Ok(slice)) = walk.next() else { break };
            places.push(Place {
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
        let delta = u32::try_from(offset.checked_sub(self.events.base_offset)?).ok()?;
        // Where compaction took none out, an event's distance is its number.
        let dense = self.places.get(delta as usize).filter(|place| place.delta == delta);
        let place = match dense {
            Some(place) => place,
            None => {
                let found = self.places.binary_search_by_key(&delta, |place| place.delta).ok()?;
                self.places.get(found)?
            }
        };
        let mut rest = self.events.plain.get(place.at as usize..)?;
        self.events.decode(&mut rest, delta).ok()
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.events.plain.len() + self.places.capacity() * size_of::<Place>()
    }
}

//! What the calls of a batch append, stream by stream, with what each event changes.

use std::sync::Arc;

use bytes::Bytes;
use headwater_eventlog::{Appended, Part};
use headwater_records::{Address, Event};
use headwater_sql::encode::{Packed, pack};
use headwater_views::GroupKey;

use crate::commands::Inner;
use crate::decide::coming::Taken;
use crate::decide::lately::{Change, Lately};
use crate::once::idempotency::{self, Call};

/// One event, before it is appended.
pub(super) struct MadeEvent {
    pub(super) event: Event,
    /// The row that it is.
    pub(super) taken: Taken,
    /// For each of its stream's views that is decided on: the rows that it changes; `None` where only the event says that.
    pub(super) touches: Vec<Option<Vec<GroupKey>>>,
}

/// The events of one stream.
pub(super) struct StreamEvents {
    pub(super) stream: String,
    pub(super) partitions: u32,
    /// The views over the stream that are decided on.
    pub(super) views: Vec<Arc<Lately>>,
    events: Vec<MadeEvent>,
}

/// The events of a batch.
#[derive(Default)]
pub(super) struct Made {
    streams: Vec<StreamEvents>,
}

/// Where the events of a batch stand among the parts of its append.
pub(super) struct Placed {
    packed: Vec<Packed>,
    /// Of each stream the first of its parts.
    firsts: Vec<usize>,
    /// Of each stream the values of its events.
    values: Vec<Vec<Bytes>>,
    /// The events that remember idempotency keys, and the first of their parts.
    keys: (Packed, usize),
}

/// What one view is to learn of an append: for each part, the rows that its events change, by their places in it.
pub(super) struct Lesson {
    pub(super) lately: Arc<Lately>,
    /// `None`: the part is of another stream, or only its events say it.
    pub(super) changes: Vec<Option<Vec<Change>>>,
}

impl Made {
    /// Adds an event to a stream; where it stands here.
    pub(super) fn add(&mut self, to: &StreamEvents, event: MadeEvent) -> (usize, usize) {
        let known = self.streams.iter().position(|known| known.stream == to.stream);
        let place = known.unwrap_or_else(|| {
            self.streams.push(to.without_events());
            self.streams.len() - 1
        });
        let events = &mut self.streams[place].events;
        events.push(event);
        (place, events.len() - 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The parts of the append, where each event stands in them, and what views learn of it. `keys`: calls with idempotency keys, and where their events
    /// stand here.
    pub(super) fn placed(self, inner: &Inner, keys: &[(&Call, &[(usize, usize)])]) -> (Vec<Part>, Placed, Vec<Lesson>) {
        let mut parts: Vec<Part> = Vec::new();
        let mut placed = Placed {
            packed: Vec::with_capacity(self.streams.len()),
            firsts: Vec::with_capacity(self.streams.len()),
            values: Vec::with_capacity(self.streams.len()),
            keys: (idempotency::pack_events(Vec::new()), 0),
        };
        let mut lessons: Vec<Lesson> = Vec::new();
        for of in self.streams {
            let mut events: Vec<Event> = Vec::with_capacity(of.events.len());
            let mut changes: Vec<(Taken, Vec<Option<Vec<GroupKey>>>)> = Vec::with_capacity(of.events.len());
            for made in of.events {
                events.push(made.event);
                changes.push((made.taken, made.touches));
            }
            let value = |event: &Event| event.value.clone().unwrap_or_default();
            placed.values.push(events.iter().map(value).collect());
            placed.firsts.push(parts.len());
            let packed = pack(&of.stream, of.partitions, events, inner.engine.next_spread());
            for (number, lately) in of.views.into_iter().enumerate() {
                // Of a view whose rows nobody can foresee, none is kept for that.
                let is_foreseeable = lately.view.is_foreseeable();
                let mut by_part: Vec<Option<Vec<Change>>> = Vec::new();
                by_part.resize_with(parts.len(), || None);
                by_part.resize_with(parts.len() + packed.parts.len(), || Some(Vec::new()));
                for ((taken, touches), (part, place)) in changes.iter().zip(packed.places()) {
                    let of_part = &mut by_part[parts.len() + part];
                    let (Some(known), Some(keys)) = (&mut *of_part, &touches[number]) else {
                        *of_part = None;
                        continue;
                    };
                    known.extend(keys.iter().map(|key| Change {
                        key: key.clone(),
                        offset: *place,
                        taken: is_foreseeable.then(|| taken.clone()),
                    }));
                }
                lessons.push(Lesson {
                    lately,
                    changes: by_part,
                });
            }
            parts.extend(packed.parts.iter().cloned());
            placed.packed.push(packed);
        }
        let now_ms = inner.engine.now_ms();
        let remembering = keys.iter().map(|(call, events)| {
            let homes = events
                .iter()
                .filter_map(|(stream, place)| placed.packed[*stream].home(*place));
            call.event(homes, now_ms)
        });
        let remembering = idempotency::pack_events(remembering.collect());
        let first = parts.len();
        parts.extend(remembering.parts.iter().cloned());
        placed.keys = (remembering, first);
        (parts, placed, lessons)
    }
}

impl StreamEvents {
    pub(super) fn new(stream: &str, partitions: u32, views: Vec<Arc<Lately>>) -> StreamEvents {
        StreamEvents {
            stream: stream.to_owned(),
            partitions,
            views,
            events: Vec::new(),
        }
    }

    fn without_events(&self) -> StreamEvents {
        StreamEvents::new(&self.stream, self.partitions, self.views.clone())
    }
}

impl MadeEvent {
    /// Bytes of its value: what may be much of it.
    pub(super) fn bytes(&self) -> usize {
        self.event.value.as_ref().map_or(0, Bytes::len)
    }
}

impl Placed {
    /// Where the events stand that remember idempotency keys.
    pub(super) fn remembered(&self, appended: &Appended) -> Vec<u64> {
        let (packed, first) = &self.keys;
        let addresses = packed.addresses(appended, *first);
        addresses.into_iter().map(|address| address.offset).collect()
    }

    /// Where every event stands once it is appended, and its value, stream by stream.
    pub(super) fn landed(&self, appended: &Appended) -> Vec<Vec<(Address, &[u8])>> {
        let streams = self.packed.iter().zip(&self.firsts).zip(&self.values);
        let landed = streams.map(|((packed, first), values)| {
            let addresses = packed.addresses(appended, *first);
            addresses.into_iter().zip(values.iter().map(Bytes::as_ref)).collect()
        });
        landed.collect()
    }
}

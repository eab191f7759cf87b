//! What waits to be appended: results, parked events, and the position behind the events that they came of.

use headwater_eventlog::{Append, Part};
use headwater_records::{Address, Event};

use super::positions::{self, Reached};
use super::{PipelineSpec, ResultEncoder};
use crate::decode::Parked;
use crate::follow::parking;

/// Who appends results.
pub const PRINCIPAL: &str = "_headwater";

/// The header that says which event a result was made of.
pub const FROM_HEADER: &str = "headwater-from";

/// What waits.
#[derive(Default)]
pub(super) struct Waiting {
    /// Results with the source partition that those without a key came from, in order.
    runs: Vec<(u32, Vec<Event>)>,
    parked: Vec<Parked>,
    /// Events that were parked before, and have results now.
    replayed: Vec<Address>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.parked.is_empty() && self.replayed.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the result of an event of a source partition.
    pub(super) fn result(&mut self, partition: u32, event: Event) {
        self.bytes += event.bytes();
        match self.runs.last_mut() {
            // Where an event goes that has a key, its key says alone.
            Some((last, events)) if *last == partition || event.key.is_some() => events.push(event),
            _ => self.runs.push((partition, vec![event])),
        }
    }

    /// Adds an event of which nothing comes.
    pub(super) fn park(&mut self, parked: Parked) {
        self.bytes += parked.reason.len() + parked.value.as_ref().map_or(0, bytes::Bytes::len);
        self.parked.push(parked);
    }

    /// Notes that the results of an event that was parked are among these.
    pub(super) fn replayed(&mut self, address: Address) {
        self.replayed.push(address);
    }

    /// Everything in batches, and the position with it.
    pub(super) fn parts(&mut self, spec: &PipelineSpec, stream_id: u128, reached: &Reached, now_us: i64) -> Vec<Part> {
        let encoder: &dyn ResultEncoder = spec.encoder.as_ref();
        let runs = std::mem::take(&mut self.runs);
        let mut parts: Vec<Part> = runs
            .into_iter()
            .flat_map(|(partition, events)| encoder.parts(events, partition))
            .collect();
        let reader = spec.stream.name.as_str();
        parts.extend(parking::parts(&std::mem::take(&mut self.parked), Some(reader), now_us));
        parts.extend(parking::replayed(
            &std::mem::take(&mut self.replayed),
            Some(reader),
            now_us,
        ));
        parts.push(positions::part(reader, stream_id, reached, now_us));
        self.bytes = 0;
        parts
    }
}

/// One step of writing.
pub(super) fn append(parts: &[Part]) -> Append {
    Append {
        parts: parts.to_vec(),
        principal: PRINCIPAL.to_owned(),
        condition: None,
    }
}

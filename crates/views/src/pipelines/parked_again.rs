//! Parked events tried again: those that have results now are appended late, each once.
//!
//! ```text
//! _headwater.parked, of this pipeline: parked and not replayed ── read the event at its address ── make its results
//!                                                                 one append: results, "replayed", the position as it is
//! ```

use std::collections::BTreeSet;

use headwater_records::Address;

use super::limits::APPEND_BYTES;
use super::runner::{Halt, Runner, Source};
use crate::follow::parking;

/// What became of parked events that were tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Those that were taken.
    pub replayed: u64,
    /// Those that still cannot be taken, or are no longer kept.
    pub still_parked: u64,
}

impl Runner {
    /// Tries every event again that this pipeline has parked.
    pub(super) async fn replay(&mut self) -> Result<Replayed, Halt> {
        let Source::Stream {
            name,
            decoder,
            projection,
        } = &self.source
        else {
            return Err(Halt::Refused(
                "what it parked are changes of a view's rows, and the rows have changed since: make a new stream of its query".to_owned(),
            ));
        };
        let (source, decoder, projection) = (name.clone(), decoder.clone(), projection.clone());
        let reader = self.spec.stream.name.clone();
        let parked: BTreeSet<(u32, u64)> = parking::parked(&self.log, &source, Some(&reader)).map_err(Halt::Failed)?;
        let mut replayed = Replayed::default();
        if !parked.is_empty() {
            self.views_have_folded().await?;
        }
        for (partition, offset) in parked {
            // What is no longer kept, or cannot be read, stays parked.
            let batches = self.log.read(&source, partition, offset, 1).unwrap_or_default();
            let decoded = decoder.decode(partition, &batches, offset, offset + 1, Some(&projection));
            let keys = self.keys_of(&batches);
            let made = match decoded.rows.num_rows() {
                0 => None,
                _ => Some(self.made((&source, partition), &keys, &decoded.rows).await?)
                    .filter(|made| made.unfit.is_empty()),
            };
            let Some(made) = made else {
                replayed.still_parked += 1;
                continue;
            };
            replayed.replayed += 1;
            self.reached.results += made.results.len() as u64;
            self.reached.parked = self.reached.parked.saturating_sub(1);
            for event in made.results {
                self.waiting.result(partition, event);
            }
            self.waiting.replayed(Address {
                stream: source.clone(),
                partition,
                offset,
            });
            if self.waiting.bytes() >= APPEND_BYTES {
                self.append().await?;
            }
        }
        if !self.waiting.is_empty() {
            self.append().await?;
        }
        Ok(replayed)
    }
}

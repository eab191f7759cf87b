//! How much larger the events of a stream are than the compressed batches that they come in: a turn is bounded by what it holds in memory, and nothing
//! says before a batch is opened what comes out of it.
//!
//! It is learnt from what was decoded last: a stream's writers write alike, as a rule.

use headwater_eventlog::StoredBatch;
use headwater_records::Compression;

/// What a byte of a compressed batch is taken for before any was decoded: JSON swells so much at most, as a rule.
const FIRST: usize = 16;
/// And at most: what swells more is empty, and a turn that took next to nothing of it would never end.
const MOST: usize = 1_024;

/// How many bytes a byte of a stream's compressed batches becomes.
#[derive(Debug)]
pub(crate) struct Swelling {
    factor: usize,
    /// Whether those that were read last were compressed.
    is_met: bool,
}

impl Default for Swelling {
    fn default() -> Swelling {
        Swelling {
            factor: FIRST,
            is_met: true,
        }
    }
}

impl Swelling {
    /// What batches take once they are decoded, about.
    pub(super) fn bytes_of(&self, batches: &[StoredBatch]) -> usize {
        let bytes_of = |stored: &StoredBatch| {
            let bytes = stored.batch.bytes().len();
            match is_compressed(stored) {
                true => bytes.saturating_mul(self.factor),
                false => bytes,
            }
        };
        batches.iter().map(bytes_of).sum()
    }

    /// How much is to be read for so many bytes of events.
    pub(super) fn to_read(&self, bytes: usize) -> usize {
        match self.is_met {
            true => bytes / self.factor,
            false => bytes,
        }
    }

    /// So many bytes came of these batches.
    pub(super) fn learn<'a>(&mut self, batches: impl Iterator<Item = &'a StoredBatch>, decoded: usize) {
        let (mut compressed, mut plain) = (0, 0);
        for stored in batches {
            match is_compressed(stored) {
                true => compressed += stored.batch.bytes().len(),
                false => plain += stored.batch.bytes().len(),
            }
        }
        self.is_met = compressed > 0;
        if self.is_met {
            let came = decoded.saturating_sub(plain);
            self.factor = came.div_ceil(compressed).clamp(1, MOST);
        }
    }
}

fn is_compressed(stored: &StoredBatch) -> bool {
    stored.batch.compression() != Compression::None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_records::{Batch, Event};

    use super::*;

    fn stored(compression: Compression) -> StoredBatch {
        let event = Event {
            value: Some(vec![b'x'; 10_000].into()),
            ..Event::default()
        };
        StoredBatch {
            batch: Batch::encode(&[event], compression, None),
            appended_at_us: 0,
            principal: Arc::from("?"),
        }
    }

    #[test]
    fn it_is_learnt_from_what_was_decoded() {
        let (plain, packed) = (stored(Compression::None), stored(Compression::Lz4));
        let bytes = packed.batch.bytes().len();
        let mut swelling = Swelling::default();
        let check = |swelling: &Swelling, of_packed: usize, to_read: usize| {
            assert_eq!(swelling.bytes_of(std::slice::from_ref(&packed)), of_packed);
            assert_eq!(
                swelling.bytes_of(std::slice::from_ref(&plain)),
                plain.batch.bytes().len()
            );
            assert_eq!(swelling.to_read(1_000_000), to_read);
        };
        check(&swelling, FIRST * bytes, 1_000_000 / FIRST);
        swelling.learn([&packed].into_iter(), 20 * bytes);
        check(&swelling, 20 * bytes, 50_000);
        swelling.learn([&packed, &plain].into_iter(), plain.batch.bytes().len() + 10 * bytes);
        check(&swelling, 10 * bytes, 100_000);
        swelling.learn([&plain].into_iter(), 77);
        check(&swelling, 10 * bytes, 1_000_000);
        swelling.learn([&packed].into_iter(), usize::MAX);
        check(&swelling, MOST * bytes, 1_000_000 / MOST);
        swelling.learn([&packed].into_iter(), 0);
        check(&swelling, bytes, 1_000_000);
    }
}

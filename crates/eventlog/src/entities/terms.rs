//! Terms: what an event can be found by, as hashes. They are worked out before the sequencer's step.
//!
//! A term is 64 bits of SHA-256 over the log's own random key, a letter for what it is of, and the bytes: nobody outside can make two
//! that are the same, and where chance makes two, the event that is looked up tells.

use std::sync::Arc;

use headwater_records::{Batch, Event};
use sha2::{Digest, Sha256};

use crate::entities::facets::{EventFacets, Facets};

/// Something that events are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Term(pub(crate) u64);

/// The kind of an event, as it stands beside each of its terms; 0 where it has none.
pub(crate) type KindHash = u32;

/// Makes the terms of one stream's events.
#[derive(Clone)]
pub(crate) struct Terms {
    /// The log's key.
    key: u64,
    pub(crate) facets: Option<Arc<dyn Facets>>,
}

/// The terms of one batch.
pub(crate) struct BatchTerms {
    /// Each with the distance of its event from the batch's base offset, and the event's kind.
    pub(crate) terms: Vec<(u32, KindHash, Term)>,
    /// Whether the events count once their transaction is committed.
    pub(crate) transactional: bool,
}

impl Terms {
    pub(crate) fn new(key: u64, facets: Option<Arc<dyn Facets>>) -> Terms {
        Terms { key, facets }
    }

    /// What tells the log from every other one, without telling its key.
    pub(crate) fn identity(&self) -> u64 {
        self.term(b'i', &[]).0
    }

    /// The term of a key, as an event's own and as its columns make it: both are one entity.
    pub(crate) fn of_key(&self, key: &[u8]) -> Term {
        self.term(b'k', key)
    }

    /// The term of a tag.
    pub(crate) fn of_tag(&self, tag: &str) -> Term {
        self.term(b't', tag.as_bytes())
    }

    /// The term of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Term {
        self.term(b'c', kind.as_bytes())
    }

    /// A kind as it stands beside terms.
    pub(crate) fn kind_hash(&self, kind: &str) -> KindHash {
        // Never 0, which is no kind.
        (self.of_kind(kind).0 as u32).max(1)
    }

    /// What is said of an event.
    pub(crate) fn facets_of(&self, event: &Event) -> EventFacets {
        self.facets
            .as_ref()
            .map_or_else(EventFacets::default, |facets| facets.of(event))
    }

    /// The terms of a batch. What cannot be read is in no entity.
    pub(crate) fn of_batch(&self, batch: &Batch) -> BatchTerms {
        let base = batch.base_offset();
        let mut terms: Vec<(u32, KindHash, Term)> = Vec::new();
        let mut take = |offset: u64, event: &Event| {
            let delta = (offset - base) as u32;
            let facets = self.facets_of(event);
            let kind = facets.kind.as_deref();
            let hash = kind.map_or(0, |kind| self.kind_hash(kind));
            let first = terms.len();
            let key = event.key.as_deref().map(|key| self.of_key(key));
            let tags = facets.tags.iter().map(|tag| self.of_tag(tag));
            let made = facets.keys.iter().map(|key| self.of_key(key.as_bytes()));
            let kind = kind.map(|kind| self.of_kind(kind));
            for term in key.into_iter().chain(kind).chain(tags).chain(made) {
                if !terms[first..].iter().any(|(_, _, known)| *known == term) {
                    terms.push((delta, hash, term));
                }
            }
        };
        // Where a batch turns out malformed, its first events were read all the same, by every reader.
        let _ = batch.for_each_event(|offset, event| take(offset, &event));
        BatchTerms {
            terms,
            transactional: batch.is_transactional(),
        }
    }

    fn term(&self, of: u8, bytes: &[u8]) -> Term {
        let mut hasher = Sha256::new();
        hasher.update(self.key.to_le_bytes());
        hasher.update([of]);
        hasher.update(bytes);
        let digest = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Term(u64::from_le_bytes(first))
    }
}

//! What the records of a batch ask for in their headers: what they depend on, and when they are to be appended.
//!
//! Only batches for streams with an entity index, or with KEY, KIND or TAGS, are looked at, so that plain topics pay nothing; those that ask for nothing are
//! looked through once, header names alone.

use headwater_catalog::ColumnFacets;
use headwater_catalog::condition::Streams;
use headwater_records::{Batch, Events};

use super::admission::Refusal;
use super::conditions::{self, Conditions};
use super::later::{self, Later};

/// What a batch's records ask for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) conditions: Conditions,
    /// `None` where all of it is appended at once.
    pub(super) later: Option<Later>,
}

impl Asked {
    /// Reads what a batch's records ask for. Refuses what cannot be read, and conditions that an earlier record of the batch is in the way of.
    ///
    /// A batch that cannot be opened asks for nothing, and is kept as it came like any other of that kind.
    pub(super) fn of(
        batch: &Batch,
        stream: &str,
        now_us: i64,
        facets: impl FnOnce() -> Option<ColumnFacets>,
        streams: Streams<'_>,
    ) -> Result<Asked, Refusal> {
        let mut asked = Asked::default();
        let Ok(events) = batch.open() else {
            return Ok(asked);
        };
        let (is_conditional, is_later) = look(&events);
        if is_later {
            asked.later = Some(Later::of(batch, &events, stream, now_us)?);
        }
        if is_conditional {
            asked.conditions = Conditions::of(&events, stream, facets, streams)?;
        }
        Ok(asked)
    }
}

/// Whether a record depends on something, and whether one is to be appended later; records behind a fault are not looked at.
fn look(events: &Events) -> (bool, bool) {
    let (mut is_conditional, mut is_later) = (false, false);
    for slice in events.iter().map_while(Result::ok) {
        if slice.header_count() > 0 {
            let _ = slice.for_each_header(|name, _| {
                is_conditional |= conditions::is_condition(name);
                is_later |= later::says_when(name);
            });
        }
        if is_conditional && is_later {
            break;
        }
    }
    (is_conditional, is_later)
}

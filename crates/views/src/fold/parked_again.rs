//! Parked events of a view, looked at again: whether any of them would be taken now that was not.
//!
//! A parked event is not folded into rows that went on without it: they would be other rows than the query gives over the log. Where one fits now,
//! the view is built anew, from the events as they stand and as they are read now, and takes its place when it has caught up. So each event is
//! in the rows once, whichever way it came in.

use std::sync::atomic::Ordering;

use headwater_records::Position;

use crate::follow::parking;
use crate::query::Source;
use crate::{View, ViewError};

/// How a view's parked events stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParkedNow {
    /// Events that the version which is asked went on without, and that would be taken now.
    pub fit: u64,
    /// Those that still do not fit, or are no longer kept.
    pub still_parked: u64,
}

impl View {
    /// Looks at every parked event of its streams again. Blocks on the disk.
    pub fn parked_now(&self) -> Result<ParkedNow, ViewError> {
        let mut still_parked = 0;
        let at: Position = self.position();
        for stream in self.streams() {
            for (partition, offset) in parking::parked(&self.log, stream, None).map_err(ViewError::Failed)? {
                let is_passed = offset < at.get(stream, partition);
                if is_passed && !self.takes(stream, partition, offset)? {
                    still_parked += 1;
                }
            }
        }
        let without = self.parked.load(Ordering::Relaxed);
        Ok(ParkedNow {
            fit: without.saturating_sub(still_parked),
            still_parked,
        })
    }

    /// Whether the event at an address would be folded as it is read now.
    fn takes(&self, stream: &str, partition: u32, offset: u64) -> Result<bool, ViewError> {
        let Some(decoder) = self.decoder(stream) else {
            return Ok(false);
        };
        // What is no longer kept is taken by nobody.
        let batches = self.log.read(stream, partition, offset, 1).unwrap_or_default();
        let source = Source::Events(stream.to_owned());
        let columns = self.projection(&source, &decoder)?;
        let decoded = decoder.decode(partition, &batches, offset, offset + 1, Some(&columns));
        if decoded.rows.num_rows() == 0 {
            return Ok(false);
        }
        Ok(self.turn()?.take(&source, &decoded.rows)?.is_empty())
    }
}

//! Whether what a store holds came out of this log: it is as far as the log at most, and the last events that it folded are there.
//!
//! ```text
//! commit      rows, position, and of each partition when the last event below the position was appended
//! opening     the log says the same? ─ yes ─> the store goes on
//!                                      no ──> the log was restored from a copy, or lost its end, or is another: what the store holds is of no use
//! ```
//!
//! Append times ascend from append to append, so that events of two histories that have one offset have two times. Where the event is no longer kept, its
//! time says whether it can be among those that went.

use std::collections::BTreeMap;
use std::str::FromStr;

use headwater_eventlog::EventLog;
use headwater_records::Position;

use crate::View;

/// Of each partition below a position, when the last event below it was appended, where the log said so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LastFolded {
    /// By stream and partition: the position's offset, and the time in microseconds since 1970.
    of: BTreeMap<(String, u32), (u64, i64)>,
}

impl LastFolded {
    /// The same at a position: the log is asked where that moved.
    pub(crate) fn moved_to(&mut self, log: &EventLog, position: &Position) {
        for (stream, partition, offset) in position.iter() {
            let place = (stream.to_owned(), partition);
            if self.of.get(&place).is_some_and(|(known, _)| *known == offset) {
                continue;
            }
            // What cannot be read now is not compared later.
            match log.appended_before(stream, partition, offset) {
                Ok(Some(appended_at_us)) => self.of.insert(place, (offset, appended_at_us)),
                Ok(None) | Err(_) => self.of.remove(&place),
            };
        }
    }

    /// As a note keeps it beside the position: a line for each partition.
    pub(crate) fn text(&self) -> String {
        let lines = self.of.iter().map(|((stream, partition), (offset, appended_at_us))| {
            format!("{appended_at_us} {offset} {partition} {stream}\n")
        });
        lines.collect()
    }

    /// As a note kept it. What cannot be read is not compared.
    pub(crate) fn read(text: &str) -> LastFolded {
        let line = |line: &str| {
            let mut parts = line.splitn(4, ' ');
            let appended_at_us = i64::from_str(parts.next()?).ok()?;
            let offset = u64::from_str(parts.next()?).ok()?;
            let partition = u32::from_str(parts.next()?).ok()?;
            Some(((parts.next()?.to_owned(), partition), (offset, appended_at_us)))
        };
        LastFolded {
            of: text.lines().filter_map(line).collect(),
        }
    }
}

/// Why what stands at a position, its last events being these, did not come out of the log as it is; `None`: it did.
pub(crate) fn foreign(log: &EventLog, position: &Position, last: &LastFolded) -> Option<String> {
    for (stream, partition, offset) in position.iter() {
        let Some(end) = log.offsets(stream, partition).map(|offsets| offsets.high_watermark) else {
            // A stream that is no more, or was made anew, is told by its id.
            continue;
        };
        if offset > end {
            return Some(format!(
                "it holds the events of {stream}/{partition} below {offset}, and the log ends at {end} there: the log was restored from a copy, or \
                 lost its end"
            ));
        }
        let known = last.of.get(&(stream.to_owned(), partition));
        let Some((_, appended_at_us)) = known.filter(|(known, _)| *known == offset) else {
            continue;
        };
        let is_there = log.may_follow(stream, partition, offset, *appended_at_us);
        if !is_there.unwrap_or(true) {
            return Some(format!(
                "the last event that it holds of {stream}/{partition}, below {offset}, is not the one that the log has there: the log was restored \
                 from a copy and went on, or is another"
            ));
        }
    }
    None
}

impl View {
    /// Whether what it has stored did not come out of its log.
    pub(crate) fn is_foreign(&self) -> bool {
        foreign(&self.log, &self.position(), &self.last_folded.lock()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_folded_last_is_read_as_it_was_written() {
        let last = LastFolded {
            of: BTreeMap::from([
                (("s".to_owned(), 0), (42, 1_700_000_000_000_000)),
                (("a stream, with  spaces".to_owned(), 17), (1, -5)),
            ]),
        };
        assert_eq!(LastFolded::read(&last.text()), last);
        assert_eq!(LastFolded::read(""), LastFolded::default());
        assert_eq!(LastFolded::read("x 1 2 s\n1 2\n"), LastFolded::default());
    }
}

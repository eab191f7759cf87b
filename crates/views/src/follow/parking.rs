//! Events that do not fit, recorded in `_headwater.parked`: one event for each, with its address, the reason and the value.
//!
//! An event is parked once, whichever of its stream's views meets it, and however often it is folded again: parking comes before the view's
//! position moves on, and the addresses that the stream of parked values holds already are left out. They are read back when the first event
//! of a run does not fit.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use hashbrown::HashMap;
use headwater_catalog::{Catalog, PARKED_STREAM};
use headwater_eventlog::{Append, AppendError, EventLog, Part};
use headwater_records::{Address, Batch, Compression, Event};
use tokio::time::Instant;

use crate::ViewError;
use crate::decode::{Parked, StreamDecoder, portions, text_or_hex};

/// How much of a value is repeated: the event itself stays at its address.
const VALUE_CHARS_MAX: usize = 16 * 1024;
/// How many bytes of parked events go into one append.
const APPEND_BYTES: usize = 256 * 1024;
/// How often a warning is written at most.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What the records say of an event.
const PARKED: &str = "parked";
const REPLAYED: &str = "replayed";

/// Who writes parked events.
const PRINCIPAL: &str = "_headwater";

/// Parks the events of one stream.
pub(crate) struct Parking {
    log: EventLog,
    catalog: Catalog,
    stream: String,
    /// `None` until the first event is parked.
    known: Option<Addresses>,
    warned_at: Option<Instant>,
    unsaid: u64,
}

/// A set of addresses in one stream: a bit for each offset, 64 to a word.
#[derive(Default)]
struct Addresses(HashMap<(u32, u64), u64>);

impl Addresses {
    /// Puts an address in; `false` where it was.
    fn insert(&mut self, partition: u32, offset: u64) -> bool {
        let word = self.0.entry((partition, offset / 64)).or_default();
        let bit = 1 << (offset % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

impl Parking {
    /// Parks events of `stream`.
    pub(crate) fn new(log: EventLog, catalog: Catalog, stream: &str) -> Parking {
        Parking {
            log,
            catalog,
            stream: stream.to_owned(),
            known: None,
            warned_at: None,
            unsaid: 0,
        }
    }

    /// Records those that are not recorded yet; durable when this returns.
    pub(crate) fn park(&mut self, events: &[Parked]) -> Result<(), ViewError> {
        // A parked value that did not fit would be parked for ever.
        if events.is_empty() || self.stream == PARKED_STREAM {
            return Ok(());
        }
        if self.known.is_none() {
            self.known = Some(self.read_known().map_err(ViewError::Failed)?);
        }
        let known = self.known.get_or_insert_default();
        let new: Vec<&Parked> = events
            .iter()
            .filter(|parked| known.insert(parked.address.partition, parked.address.offset))
            .collect();
        let written = self.append(&new);
        if written.is_err() {
            // What is recorded and what is not is read back the next time.
            self.known = None;
        }
        written?;
        if let Some(first) = new.first() {
            self.warn(new.len() as u64, first);
        }
        Ok(())
    }

    fn append(&self, events: &[&Parked]) -> Result<(), ViewError> {
        let events: Vec<Parked> = events.iter().map(|parked| (*parked).clone()).collect();
        for part in parts(&events, None, self.log.now_us()) {
            let append = Append {
                parts: vec![part],
                principal: PRINCIPAL.to_owned(),
                condition: None,
            };
            self.log.append_blocking(append).map_err(|error| {
                let why = format!("events that do not fit could not be recorded in {PARKED_STREAM}: {error}");
                match error {
                    AppendError::Full { .. } => ViewError::Full(why),
                    _ => ViewError::Failed(why),
                }
            })?;
        }
        Ok(())
    }

    /// The addresses of this stream's events that are recorded already.
    fn read_known(&self) -> Result<Addresses, String> {
        let mut known = Addresses::default();
        let Some(definition) = self.catalog.stream(PARKED_STREAM) else {
            return Err(format!(
                "there is no stream '{PARKED_STREAM}' to record events that do not fit"
            ));
        };
        let decoder = StreamDecoder::new(&definition);
        let schema = decoder.schema();
        let index_of = |name| schema.index_of(name).map_err(|error| error.to_string());
        let columns = ["stream", "partition", "offset", "reader"];
        let projection = columns
            .into_iter()
            .map(index_of)
            .collect::<Result<Vec<usize>, String>>()?;
        let mut from = 0;
        loop {
            let batches = self
                .log
                .read(PARKED_STREAM, 0, from, 4 * 1024 * 1024)
                .map_err(|error| error.to_string())?;
            let Some(last) = batches.last() else {
                return Ok(known);
            };
            for portion in portions(&batches, 8_192) {
                let decoded = decoder.decode(0, portion, from, u64::MAX, Some(&projection));
                let streams = decoded.rows.column(0).as_string::<i32>();
                let partitions = decoded.rows.column(1).as_primitive::<Int32Type>();
                let offsets = decoded.rows.column(2).as_primitive::<Int64Type>();
                let readers = decoded.rows.column(3);
                // What a pipeline could not take says nothing of others.
                let is_own = |row: &usize| streams.value(*row) == self.stream && readers.is_null(*row);
                for row in (0..decoded.rows.num_rows()).filter(is_own) {
                    known.insert(partitions.value(row) as u32, offsets.value(row) as u64);
                }
            }
            from = last.batch.next_offset();
        }
    }

    fn warn(&mut self, count: u64, first: &Parked) {
        self.unsaid += count;
        if self.warned_at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        tracing::warn!(
            stream = self.stream,
            "{} event(s) do not fit and are parked in {PARKED_STREAM}, the first of them {}: {}",
            self.unsaid,
            first.address,
            one_line(&first.reason)
        );
        self.warned_at = Some(Instant::now());
        self.unsaid = 0;
    }
}

/// The records of parked events, in batches. `reader` is who cannot take them; `None`: they do not fit their stream's columns, whoever reads.
pub(crate) fn parts(events: &[Parked], reader: Option<&str>, now_us: i64) -> Vec<Part> {
    batches(events.iter().map(|parked| record(parked, reader)), now_us)
}

/// Records in batches that the log takes.
fn batches(records: impl Iterator<Item = Bytes>, now_us: i64) -> Vec<Part> {
    let mut runs: Vec<Vec<Event>> = Vec::new();
    let mut room = 0;
    for value in records {
        let bytes = value.len();
        let event = Event {
            value: Some(value),
            timestamp_ms: now_us / 1_000,
            ..Event::default()
        };
        match runs.last_mut() {
            Some(run) if bytes <= room => {
                room -= bytes;
                run.push(event);
            }
            _ => {
                room = APPEND_BYTES.saturating_sub(bytes);
                runs.push(vec![event]);
            }
        }
    }
    let part = |run: &Vec<Event>| Part {
        stream: PARKED_STREAM.to_owned(),
        partition: 0,
        batch: Batch::encode(run, Compression::None, None),
    };
    runs.iter().map(part).collect()
}

/// The records of parked events that were taken after all, in batches.
pub(crate) fn replayed(events: &[Address], reader: Option<&str>, now_us: i64) -> Vec<Part> {
    let record = |address: &Address| {
        let record = serde_json::json!({
            "stream": address.stream,
            "partition": address.partition,
            "offset": address.offset,
            "reader": reader,
            "state": REPLAYED,
            "reason": "it was replayed",
        });
        Bytes::from(record.to_string())
    };
    batches(events.iter().map(record), now_us)
}

/// The events of a stream, by partition and offset, that one reader (`None`: every reader) parked and has not replayed since.
pub(crate) fn parked(log: &EventLog, stream: &str, reader: Option<&str>) -> Result<BTreeSet<(u32, u64)>, String> {
    let mut parked = BTreeSet::new();
    let mut next = log.offsets(PARKED_STREAM, 0).map_or(0, |offsets| offsets.start);
    loop {
        let batches = log
            .read(PARKED_STREAM, 0, next, 1024 * 1024)
            .map_err(|error| error.to_string())?;
        let Some(last) = batches.last() else {
            return Ok(parked);
        };
        next = last.batch.next_offset();
        for stored in &batches {
            for (_, event) in stored.batch.events().map_err(|error| error.to_string())? {
                let value = event.value.unwrap_or_default();
                let record: serde_json::Value = serde_json::from_slice(&value).map_err(|error| error.to_string())?;
                let number = |name: &str| record.get(name)?.as_u64();
                let is_own = record["stream"] == stream && record["reader"].as_str() == reader;
                let (true, Some(partition), Some(offset)) = (is_own, number("partition"), number("offset")) else {
                    continue;
                };
                let place = (u32::try_from(partition).unwrap_or(u32::MAX), offset);
                match record["state"] == REPLAYED {
                    true => parked.remove(&place),
                    false => parked.insert(place),
                };
            }
        }
    }
}

fn record(parked: &Parked, reader: Option<&str>) -> Bytes {
    let value = parked
        .value
        .as_deref()
        .map(text_or_hex)
        .map(|text| match text.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        });
    let record = serde_json::json!({
        "stream": parked.address.stream,
        "partition": parked.address.partition,
        "offset": parked.address.offset,
        "reader": reader,
        "state": PARKED,
        "reason": parked.reason,
        "value": value,
    });
    Bytes::from(record.to_string())
}

/// A reason as one line of the program's log: what a writer put into a value makes no lines there.
pub(crate) fn one_line(reason: &str) -> String {
    let mut line = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_the_log() {
        let check = |reason: &str, expected: &str| assert_eq!(one_line(reason), expected);
        check("it is 'größer' than \"5\"", "it is 'größer' than \"5\"");
        check("cut short: {bad\nERROR forged", "cut short: {bad\\nERROR forged");
        check("\u{1b}[2J\r\u{2028}", "\\u{1b}[2J\\r\\u{2028}");
    }
}

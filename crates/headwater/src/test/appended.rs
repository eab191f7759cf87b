//! The events that a statement appended.

use headwater_catalog::Catalog;
use headwater_eventlog::EventLog;
use headwater_records::{Address, Position};

/// How much of a stream is read at once.
const READ_BYTES: usize = 1024 * 1024;

/// The values of a stream's events that came after a position, in the order in which they were appended.
pub fn appended(log: &EventLog, catalog: &Catalog, stream: &str, before: &Position) -> Result<Vec<String>, String> {
    let info = log
        .stream(stream)
        .ok_or_else(|| format!("there is no stream '{stream}'"))?;
    let mut found: Vec<(i64, u32, u64, String)> = Vec::new();
    for partition in 0..info.partitions {
        let mut next = before.get(stream, partition);
        let end = log
            .offsets(stream, partition)
            .map_or(next, |offsets| offsets.high_watermark);
        while next < end {
            let batches = log
                .read(stream, partition, next, READ_BYTES)
                .map_err(|why| why.to_string())?;
            let Some(last) = batches.last() else { break };
            let read_to = last.batch.next_offset();
            for stored in &batches {
                for (offset, event) in stored.batch.events().map_err(|why| why.to_string())? {
                    if offset >= next {
                        let value = event.value.unwrap_or_default();
                        let address = Address {
                            stream: stream.to_owned(),
                            partition,
                            offset,
                        };
                        let document = catalog.document(&address, stored.appended_at_us, &value);
                        let value = document.unwrap_or_else(|| String::from_utf8_lossy(&value).into_owned());
                        found.push((stored.appended_at_us, partition, offset, value));
                    }
                }
            }
            next = read_to;
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, _, value)| value).collect())
}

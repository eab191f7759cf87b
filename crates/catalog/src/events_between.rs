//! What came in between: the events that a condition failed by, as far as readers may see them.
//!
//! Invariant: an event is given only where it counts, as to every reader. What is in the way is durable when the log refuses; what is still not
//! there (its transaction is open) is left out.

use headwater_eventlog::{EventLog, FoundEvent};
use headwater_records::Address;

/// How many bytes of what came in between are read; the rest has its address, and can be read by it.
const CAME_BYTES_MAX: usize = 1024 * 1024;

/// For each address the event, where it may be seen.
pub async fn came_in_between(log: &EventLog, came: &[Address]) -> Vec<Option<FoundEvent>> {
    let (log, addresses) = (log.clone(), came.to_vec());
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = 0;
        let mut found: Vec<Option<FoundEvent>> = Vec::with_capacity(addresses.len());
        for address in addresses {
            let event = (bytes < CAME_BYTES_MAX).then(|| read(&log, address)).flatten();
            bytes += event
                .as_ref()
                .map_or(0, |found| found.event.value.as_ref().map_or(0, |value| value.len()));
            found.push(event);
        }
        found
    });
    reading.await.unwrap_or_else(|_| vec![None; came.len()])
}

/// The event at an address, where readers may see it.
fn read(log: &EventLog, address: Address) -> Option<FoundEvent> {
    let batches = log.read(&address.stream, address.partition, address.offset, 1).ok()?;
    let stored = batches.into_iter().next()?;
    let events = stored.batch.events().ok()?;
    let (_, event) = events.into_iter().find(|(offset, _)| *offset == address.offset)?;
    Some(FoundEvent {
        address,
        appended_at_us: stored.appended_at_us,
        principal: stored.principal,
        event,
    })
}

//! What came in between: the events that a condition failed by, as far as readers may see them.
//!
//! Invariant: an event is given only once it is durable and counts, as to every reader. The log refuses an append before that, so this waits a
//! moment for the flush; what is still not there (its transaction is open) is left out.

use std::time::Duration;

use headwater_eventlog::{EventLog, FoundEvent};
use headwater_records::Address;
use tokio::time::timeout;

/// How long the flush of what came in between is waited for: it is under way already.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// How many bytes of what came in between are read; the rest has its address, and can be read by it.
const CAME_BYTES_MAX: usize = 1024 * 1024;

/// For each address the event, where it may be seen.
pub async fn came_in_between(log: &EventLog, came: &[Address]) -> Vec<Option<FoundEvent>> {
    // Whether or not they got there in time: what is not there is not shown.
    let _ = timeout(FLUSH_WAIT, flushed(log, came)).await;
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

/// Resolves when all of these are flushed.
async fn flushed(log: &EventLog, came: &[Address]) {
    let mut commits = log.commits();
    loop {
        commits.mark_unchanged();
        let is_flushed = |address: &Address| {
            let offsets = log.offsets(&address.stream, address.partition);
            offsets.is_none_or(|offsets| offsets.high_watermark > address.offset)
        };
        if came.iter().all(is_flushed) || commits.changed().await.is_err() {
            return;
        }
    }
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

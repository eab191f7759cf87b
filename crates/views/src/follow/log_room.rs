//! A view that must park an event while the log takes none takes nothing, and goes on by itself when there is room.
//!
//! Parking comes before the position moves on, so that nothing is passed by unsaid. While it cannot be done, what the turn gathered is let go of, and the
//! same events are folded once more after a pause.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::View;
use crate::limits::FULL_RETRY;

/// Whether a view waits for room in the log.
#[derive(Default)]
pub(crate) struct LogRoom(Mutex<Option<Waiting>>);

struct Waiting {
    why: String,
    /// Whose events it cannot park.
    stream: String,
    /// When that is tried again.
    until: Instant,
}

impl LogRoom {
    /// Why it waits, where it does.
    pub(crate) fn why(&self) -> Option<String> {
        let LogRoom(waiting) = self;
        waiting.lock().as_ref().map(|waiting| waiting.why.clone())
    }

    /// Whether it takes nothing for now.
    pub(crate) fn is_awaited(&self) -> bool {
        let LogRoom(waiting) = self;
        let is_later = |waiting: &Waiting| waiting.until > Instant::now();
        waiting.lock().as_ref().is_some_and(is_later)
    }

    /// When the events of a stream are tried again.
    pub(crate) fn due(&self, stream: &str) -> Option<Instant> {
        let LogRoom(waiting) = self;
        let waiting = waiting.lock();
        waiting
            .as_ref()
            .filter(|waiting| waiting.stream == stream)
            .map(|waiting| waiting.until)
    }
}

impl View {
    /// Lets it wait: an event of a stream could not be parked.
    pub(crate) fn wait_for_log(&self, stream: &str, why: &str) {
        let LogRoom(waiting) = &self.log_room;
        let before = waiting.lock().replace(Waiting {
            why: why.to_owned(),
            stream: stream.to_owned(),
            until: Instant::now() + FULL_RETRY,
        });
        if before.is_none() {
            tracing::warn!(view = self.definition.name, "the view waits for room: {why}");
        }
    }

    /// Notes that events of a stream were taken, with all that was to be parked of them.
    pub(crate) fn took_all(&self, stream: &str) {
        let LogRoom(waiting) = &self.log_room;
        let waited = waiting.lock().take_if(|waiting| waiting.stream == stream);
        if waited.is_some() {
            tracing::info!(view = self.definition.name, "there is room again: the view goes on");
        }
    }
}

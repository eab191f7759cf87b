//! Whoever waits for events that were acknowledged before their flush asks for that flush.

use headwater_records::Position;

use crate::log::EventLog;

impl EventLog {
    /// Asks for the flush of what was appended below a position, where it is not durable yet: else relaxed streams wait for company.
    pub fn hasten(&self, position: &Position) {
        if !self.is_flushed(position) {
            self.shared.sequencer.hasten();
        }
    }

    /// Asks for that flush and waits for it. What nobody has appended yet is not waited for.
    pub async fn flushed(&self, position: &Position) {
        if self.is_flushed(position) {
            return;
        }
        let mut commits = self.commits();
        let mut appended = Position::new();
        for (stream, partition, next) in position.iter() {
            let end = self.offsets(stream, partition).map_or(0, |offsets| offsets.end);
            appended.set(stream, partition, next.min(end));
        }
        self.shared.sequencer.hasten();
        while !self.is_flushed(&appended) && self.stopped().is_none() && commits.changed().await.is_ok() {}
    }

    fn is_flushed(&self, position: &Position) -> bool {
        position.iter().all(|(stream, partition, next)| {
            let offsets = self.offsets(stream, partition);
            offsets.is_none_or(|offsets| next <= offsets.high_watermark)
        })
    }
}

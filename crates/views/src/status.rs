//! How a view stands: how far it is, what keeps it, what it takes.

use std::sync::atomic::Ordering;

use headwater_eventlog::EventLog;
use headwater_records::Position;
use tokio::time::Instant;

use crate::follow::lag;
use crate::follow::pace::Build;
use crate::lake::Lake;
use crate::query::Query;
use crate::view::View;

/// How a view stands, for `SHOW VIEWS` and metrics.
#[derive(Debug, Clone, Default)]
pub struct ViewStatus {
    /// The view's name.
    pub name: String,
    /// Up to where it has folded.
    pub position: Position,
    /// Events of its streams it has not folded yet.
    pub lag_events: u64,
    /// Seconds since the oldest event it has not folded yet was appended; 0 when there is none.
    pub lag_seconds: f64,
    /// Rows, as far as known.
    pub rows: u64,
    /// Bytes of resident rows.
    pub resident_bytes: u64,
    /// Bytes of its store on disk.
    pub store_bytes: u64,
    /// Events parked since the view began.
    pub parked: u64,
    /// Offsets that its stream no longer kept when it came to them: its rows are without those events.
    pub lacking: u64,
    /// Why the rows that it had were thrown away when it was opened, where they were: it was made anew since.
    pub made_anew: Option<String>,
    /// Where it is being built: how far that is.
    pub building: Option<Build>,
    /// What keeps it from getting on, and is tried again and again.
    pub held_up: Option<String>,
    /// Which rows its index or its table is without, as they cannot be worked out.
    pub left_out: Option<String>,
    /// Why it stopped, where it did.
    pub stopped: Option<String>,
}

impl View {
    /// How it stands.
    pub fn status(&self) -> ViewStatus {
        let (rows, resident_bytes) = {
            let resident = self.resident.read();
            (resident.rows, (resident.bytes() + resident.waiting.bytes()) as u64)
        };
        let position = self.position();
        let behind = lag::of(&self.log, &end_of(&self.log, &self.query), &position);
        ViewStatus {
            name: self.definition.name.clone(),
            lag_events: behind.events,
            lag_seconds: behind.seconds,
            rows: if self.query.is_global() { 1 } else { rows },
            resident_bytes,
            store_bytes: self.folder.store.bytes()
                + self.image.as_ref().map_or(0, |image| image.bytes())
                + self.lake.as_ref().map_or(0, |lake| lake.table.bytes()),
            parked: self.parked.load(Ordering::Relaxed),
            lacking: self.lacking.load(Ordering::Relaxed),
            made_anew: self.made_anew.clone(),
            building: self.building().map(|_| self.build()),
            held_up: self.held_up(),
            left_out: self.left_out.said(),
            stopped: self.stopped(),
            position,
        }
    }

    /// Where it is being built for the first time: events folded and events to fold.
    pub fn building(&self) -> Option<(u64, u64)> {
        let is_built = self.is_built.load(Ordering::Acquire) || self.position.borrow().covers(&self.target);
        (!is_built).then(|| self.progress())
    }

    /// Why it stopped, where it did.
    pub fn stopped(&self) -> Option<String> {
        self.stopped.lock().clone()
    }

    /// What keeps it from getting on, and is tried again and again.
    pub fn held_up(&self) -> Option<String> {
        let own = self.held_up.lock().clone();
        own.or_else(|| self.log_room.why())
            .or_else(|| self.lake.as_ref().and_then(Lake::held_up))
    }

    /// How far its building is.
    pub(crate) fn build(&self) -> Build {
        let (folded, events) = self.progress();
        Build {
            folded,
            events,
            events_per_second: self.pace.per_second(Instant::now()),
        }
    }

    /// Events folded, and events to fold; of those that are still kept.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let position = self.position.borrow();
        let (mut folded, mut events) = (0, 0);
        for (stream, partition, end) in end_of(&self.log, &self.query).iter() {
            let kept = |end: u64| lag::events_in(lag::kept(&self.log, stream, partition, 0..end));
            events += kept(end);
            folded += kept(end.min(position.get(stream, partition)));
        }
        (folded, events)
    }
}

/// Where the streams of a query end now.
pub(crate) fn end_of(log: &EventLog, query: &Query) -> Position {
    let mut end = Position::new();
    for stream in query.streams() {
        if let Some(of_stream) = log.position(stream) {
            end.advance_all(&of_stream);
        }
    }
    end
}

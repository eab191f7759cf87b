//! How a pipeline stands.

use headwater_records::Position;

/// How a pipeline stands, for `SHOW PIPELINES`, health and metrics.
#[derive(Debug, Clone, Default)]
pub struct PipelineStatus {
    /// Its stream.
    pub name: String,
    /// Up to where events were taken and their results are durable.
    pub position: Position,
    /// Events of its source that it has not taken yet.
    pub lag_events: u64,
    /// Seconds since the oldest of them was appended; 0 when there is none.
    pub lag_seconds: f64,
    /// Events taken since it began.
    pub events: u64,
    /// Results appended since it began.
    pub results: u64,
    /// Events parked since it began.
    pub parked: u64,
    /// Offsets that its source no longer kept when it came to them: there are no results of those events.
    pub lacking: u64,
    /// What it waits for, where it does not get on.
    pub waiting: Option<String>,
    /// Why it stopped, where it did.
    pub stopped: Option<String>,
}

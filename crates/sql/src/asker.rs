//! Who asks, and how.

use std::sync::Arc;
use std::time::Duration;

use headwater_records::Position;

use crate::{Progress, SessionZone};

/// Who asks, and how.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Written beside every event this session appends.
    pub principal: String,
    /// Views are read only once they have got here.
    pub after: Option<Position>,
    /// How long the statement may take.
    pub timeout: Option<Duration>,
    /// What `now()` says, microseconds since 1970; `None`: the moment at which each statement begins.
    pub now_us: Option<i64>,
    /// Where a question counts the events that it reads, for whoever watches.
    pub progress: Option<Arc<Progress>>,
    /// In which zone moments are shown and read; `None` is UTC.
    pub zone: Option<SessionZone>,
}

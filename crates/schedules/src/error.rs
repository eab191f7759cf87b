//! Why a schedule was not made, cancelled or found.

use headwater_eventlog::AppendError;

/// Why a schedule was not made, cancelled or found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScheduleError {
    /// One of that name waits.
    #[error("a schedule '{0}' waits already: choose another name, or cancel that one first")]
    Exists(String),
    /// Two of that name are made at once.
    #[error("two schedules '{0}' are made at once: give each a name of its own")]
    Twice(String),
    /// It breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// It is larger than one may be.
    #[error("{0}")]
    TooLarge(String),
    /// As many wait as are taken.
    #[error("{0} schedules wait, as many as are taken: wait until some are due, or cancel some")]
    Full(usize),
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The records could not be written or read.
    #[error("the schedules could not be read or written: {0}")]
    Log(String),
}

//! The time of day.

/// A clock. It may go back; who needs one that does not, keeps the largest it saw.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01 UTC.
    fn now_us(&self) -> i64;
}

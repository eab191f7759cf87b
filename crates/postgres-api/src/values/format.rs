//! The two formats of values, and where moments begin in the binary one.

/// The text format of a value.
pub(crate) const TEXT: i16 = 0;
/// The binary format of a value.
pub(crate) const BINARY: i16 = 1;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
pub(super) const DAYS_TO_2000: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's binary timestamps begin.
pub(super) const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;

//! Values between Arrow and PostgreSQL: types, texts and binary forms.
//!
//! Source: PostgreSQL's `send` and `recv` functions of each type (`src/backend/utils/adt`), and its documentation, "Data Types".
//!
//! Invariants
//! - A value that has an exact form on both sides crosses exactly; one that has none is an error, never rounded in silence.

pub(crate) mod array;
pub(crate) mod column;
pub(crate) mod numeric;
pub(crate) mod parameter;
pub(crate) mod types;

pub(crate) use column::{Column, describe};
pub(crate) use parameter::{declared_type, scalar, type_of};
pub(crate) use types::{PgType, WireType, oid_of};

/// The text format of a value.
pub(crate) const TEXT: i16 = 0;
/// The binary format of a value.
pub(crate) const BINARY: i16 = 1;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
const DAYS_TO_2000: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's binary timestamps begin.
const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;

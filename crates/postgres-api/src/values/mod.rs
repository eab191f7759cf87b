//! Values between Arrow and PostgreSQL: types, texts and binary forms.
//!
//! Source: PostgreSQL's `send` and `recv` functions of each type (`src/backend/utils/adt`), and its documentation, "Data Types".
//!
//! Invariants
//! - A value that has an exact form on both sides crosses exactly; one that has none is an error, never rounded in silence.

pub(crate) mod array;
pub(crate) mod column;
mod format;
pub(crate) mod numeric;
pub(crate) mod parameter;
pub(crate) mod types;

pub(crate) use column::{Column, describe};
pub(crate) use format::{BINARY, TEXT};
pub(crate) use parameter::{declared_type, scalar, type_of};
pub(crate) use types::{PgType, WireType, oid_of};

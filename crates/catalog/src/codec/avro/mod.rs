//! Values in Avro: the fields of a record are the columns of their names.

mod calendar;
mod columns;
mod read;
mod write;

pub(super) use columns::{columns, schema_of};
pub(super) use read::read;
pub(super) use write::write;

#[cfg(test)]
mod tests;

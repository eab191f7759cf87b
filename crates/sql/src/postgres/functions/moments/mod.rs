//! Functions of moments and intervals that the query engine does not have: `age`, `make_timestamp`, `justify_days`, `to_date` with PostgreSQL's patterns.
//!
//! Source: PostgreSQL documentation, "Date/Time Functions and Operators".

mod age;
mod made;
mod read;

use super::by_row::ByRow;

pub(crate) use made::INTERVAL_PARAMETERS;

/// The functions.
pub(crate) fn functions() -> impl Iterator<Item = ByRow> {
    age::FUNCTIONS.into_iter().chain(made::FUNCTIONS).chain(read::FUNCTIONS)
}

//! Wide rows: the lists and the sets of values that a row has besides its state, kept as entries under its key.
//!
//! ```text
//! row     key                              3 ratings, average 4.0        the state: of a list its length, of a set its size
//! entry   key │ 0001 rank of an event      {ann, 5}                      array_agg: one for each element, in its order
//! entry   key │ 0001 rank of an event      {bob, 3}
//! entry   key │ 0002 value                                               count(DISTINCT …): one for each value
//!               number of the aggregate
//! ```
//!
//! Adding an entry writes that entry and the row's state, however many there are. Reading a page of a list reads that page and what is before it
//! from the nearer end.
//!
//! Invariants
//! - A row's state says how many entries each of its lists and sets has: both change in one turn, and are committed in one write.
//! - An entry is never changed and never goes: a rank has the event's place in it, which no other element has.

mod gather;
mod keeping;
mod list;
mod pending;
mod shown;

pub(crate) use gather::{Gathering, NewEntries};
pub(crate) use keeping::Keeping;
pub(crate) use list::{LIST, list};
pub(crate) use pending::{EntriesOf, Pending};
pub(crate) use shown::{ListColumn, Lists, list_columns, shown_schema};
pub use shown::{Part, Shown, page};

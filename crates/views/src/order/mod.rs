//! The order of events: which of two came first, over all partitions and streams that a view reads.
//!
//! Events are ordered by the moment at which they were appended, then by their address. Append times come from one clock and ascend from append
//! to append, so that the address tells apart only what one append brought. The order is a fact of the log: it is the same whichever partition
//! happened to be folded first.
//!
//! ```text
//! the query as written              as it is folded
//!
//! Aggregate last_value(x)           Aggregate last(x, place)
//!   Projection k, x                   Projection k, x, place          every step passes the place on
//!     TableScan s                       Projection *, place
//!                                         TableScan s
//! ```

mod bytes;
mod carry;
mod ends;
mod rank;
mod values;

#[cfg(test)]
pub(crate) use bytes::PLACE_BYTES;
pub(crate) use bytes::{Place, place_of};
pub(crate) use carry::{carry, narrowed, place_column, streams_read};
pub(crate) use ends::{FIRST, LAST, last};
pub(crate) use values::by_position;
pub use values::in_order_of_events;

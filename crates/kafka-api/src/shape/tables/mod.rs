//! The fields of every request answered here, version by version, in a file for each kind.
//!
//! Source: the message definitions of Apache Kafka (`clients/src/main/resources/common/message`).
//! A test holds each table against the decoder: what is made from the table, the decoder reads to the last byte.

mod administration;
mod events;
mod groups;
pub(super) mod parts;
mod shares;
mod transactions;

pub(crate) use administration::*;
pub(crate) use events::*;
pub(crate) use groups::*;
pub(crate) use shares::*;
pub(crate) use transactions::*;

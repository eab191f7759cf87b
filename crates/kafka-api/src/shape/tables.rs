//! The fields of every request answered here, version by version: what they are made of here, the requests in a file for each kind.
//!
//! Source: the message definitions of Apache Kafka (`clients/src/main/resources/common/message`).
//! A test holds each table against the decoder: what is made from the table, the decoder reads to the last byte.

mod administration;
mod events;
mod groups;
mod shares;
mod transactions;

use super::{Field, Shape};

pub(crate) use administration::*;
pub(crate) use events::*;
pub(crate) use groups::*;
pub(crate) use shares::*;
pub(crate) use transactions::*;

const INT8: Shape = Shape::Fixed(1);
pub(super) const INT16: Shape = Shape::Fixed(2);
pub(super) const INT32: Shape = Shape::Fixed(4);
pub(super) const INT64: Shape = Shape::Fixed(8);
const FLOAT64: Shape = Shape::Fixed(8);
pub(super) const BOOL: Shape = Shape::Fixed(1);
pub(super) const UUID: Shape = Shape::Fixed(16);

pub(super) const fn always(shape: Shape) -> Field {
    between(0, i16::MAX, shape)
}

pub(super) const fn since(since: i16, shape: Shape) -> Field {
    between(since, i16::MAX, shape)
}

const fn until(until: i16, shape: Shape) -> Field {
    between(0, until, shape)
}

const fn between(since: i16, until: i16, shape: Shape) -> Field {
    Field { since, until, shape }
}

const TEXTS: Shape = Shape::Array(&Shape::Text);

const INTS: Shape = Shape::Array(&INT32);

const NAMED_PARTITIONS: Shape = Shape::Struct(&[always(Shape::Text), always(INTS)], &[]);

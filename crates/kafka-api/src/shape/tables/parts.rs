//! What the tables are made of: numbers, and fields by the versions that have them.

use crate::shape::field::{Field, Shape};

pub(in super::super) const INT8: Shape = Shape::Fixed(1);
pub(in super::super) const INT16: Shape = Shape::Fixed(2);
pub(in super::super) const INT32: Shape = Shape::Fixed(4);
pub(in super::super) const INT64: Shape = Shape::Fixed(8);
pub(in super::super) const FLOAT64: Shape = Shape::Fixed(8);
pub(in super::super) const BOOL: Shape = Shape::Fixed(1);
pub(in super::super) const UUID: Shape = Shape::Fixed(16);

pub(in super::super) const fn always(shape: Shape) -> Field {
    between(0, i16::MAX, shape)
}

pub(in super::super) const fn since(since: i16, shape: Shape) -> Field {
    between(since, i16::MAX, shape)
}

pub(in super::super) const fn until(until: i16, shape: Shape) -> Field {
    between(0, until, shape)
}

pub(in super::super) const fn between(since: i16, until: i16, shape: Shape) -> Field {
    Field { since, until, shape }
}

pub(in super::super) const TEXTS: Shape = Shape::Array(&Shape::Text);

pub(in super::super) const INTS: Shape = Shape::Array(&INT32);

pub(in super::super) const NAMED_PARTITIONS: Shape = Shape::Struct(&[always(Shape::Text), always(INTS)], &[]);

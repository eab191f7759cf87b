//! Arithmetic that is exact or an error: what the query engine's own would wrap or cut off silently.

mod arithmetic;
mod sum;

pub(crate) use arithmetic::ExactArithmetic;
pub(crate) use sum::exact_sum;

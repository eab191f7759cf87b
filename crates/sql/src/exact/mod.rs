//! Arithmetic that is exact or an error: what the query engine's own would wrap or cut off silently.

mod arithmetic;
mod distinct;
mod literal;
mod sum;
mod wide;

pub(crate) use arithmetic::ExactArithmetic;
pub(crate) use distinct::DistinctWithoutSums;
pub(crate) use literal::DecimalLiterals;
pub(crate) use sum::exact_sum;

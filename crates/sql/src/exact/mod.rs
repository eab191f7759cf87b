//! Arithmetic that is exact or an error, where it is asked for: what the query engine's own would wrap, cut off silently, or work out of rows that are kept from it.

mod average;
mod date_bin;
mod date_trunc;
mod division;
mod finite;
mod floats;
mod functions;
mod moments;
mod regression;
mod short;
mod spread;
mod sum;
mod wide;
mod zones;

pub(crate) use average::exact_average;
pub(crate) use date_bin::date_bin;
pub(crate) use date_trunc::date_trunc;
pub(crate) use division::{Division, quotient};
pub(crate) use finite::finite;
pub(crate) use floats::floats;
pub(crate) use functions::checked_functions;
pub(crate) use moments::{MomentTypes, in_microseconds};
pub(crate) use regression::exact_regression;
pub(crate) use short::{may_be_short, short};
pub(crate) use spread::exact_spreads;
pub(crate) use sum::exact_sum;
pub(crate) use zones::timezone;

/// What divisions are called, the checked and the rounded one.
pub(crate) const DIVISION: &str = "/";

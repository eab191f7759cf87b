//! From a call to what is to be decided: the command as it is written, compiled, and the values of its parameters.

pub(crate) mod arguments;
pub(crate) mod call_handler;
mod check;
pub(crate) mod compile;
pub(crate) mod compiled;
mod parameters;

//! Events of several streams: appended in one step under one condition, and found by a query.

pub(crate) mod append;
pub(crate) mod query;

//! What is done once for each idempotency key: calls, and appends that clients made themselves, now or later.

pub(crate) mod append;
pub(crate) mod idempotency;
pub(crate) mod later;

//! How groups are bounded, and how long things are kept.

use super::{classic, consumer};

/// How groups are bounded, and how long things are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) classic: classic::Rules,
    pub(super) consumer: consumer::Rules,
    pub(super) share: consumer::Rules,
    pub(super) offsets_retention_ms: u64,
    pub(super) expiry_interval_ms: u64,
}

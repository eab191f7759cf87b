//! A partition of a session: how it is named, what is wanted of it, what was told of it.

use std::sync::Arc;

use uuid::Uuid;

/// A topic as the client names it: by name up to version 12, then by id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// One partition that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Into [`super::Plan::topics`].
    pub(crate) topic: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) bytes_max: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What a client was told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    /// An error, or an epoch that diverges: always told, and told anew as long as it lasts.
    pub(crate) failed: bool,
    /// Events were sent.
    pub(crate) records: bool,
}

//! How does a Kafka client produce, consume, join a group?
//!
//! ```text
//! server -> connection -> frame -> shape -> requests/NAME -> eventlog, catalog, groups
//! ```
//!
//! Invariants
//! - Nothing is decoded before its frame is bounded and its counts and lengths are held against the bytes that are there.
//! - A connection's requests are answered in their order; produce requests are handed to the log in that order too,
//!   without waiting for the flush of the one before.
//! - An acknowledgement means that the events are durable, with `acks=1` as with `acks=all`.
//! - Only what is answered is advertised.

mod api;
mod backlog;
mod broker;
mod complaints;
mod connection;
mod frame;
mod groups;
pub mod limits;
mod metrics;
mod options;
mod outgoing;
mod quotas;
mod requests;
mod server;
mod sessions;
mod settings;
mod shape;
mod share_begins;
mod shares;
mod socket;
mod topic_configs;
mod transactions;

pub use broker::{Broker, BrokerError};
pub use metrics::KafkaMetrics;
pub use options::KafkaOptions;
pub use server::serve;
pub use settings::SettingError;
pub use share_begins::ShareBegins;

/// The stream of the positions that consumer groups committed.
pub const OFFSETS_STREAM: &str = "_headwater.offsets";

/// The stream of the quotas that clients were given.
pub const QUOTAS_STREAM: &str = "_headwater.quotas";

/// The stream of what is kept of groups over restarts.
pub const GROUPS_STREAM: &str = "_headwater.groups";

/// The stream of what became of the events that share groups were given.
pub const SHARES_STREAM: &str = "_headwater.shares";

/// The stream of where transactional ids stand.
pub const TRANSACTIONS_STREAM: &str = "_headwater.transactions";

/// The parts that the fuzz targets drive.
#[doc(hidden)]
pub mod fuzzing {
    /// Takes a frame's bytes through everything that happens before a request has an effect.
    pub fn decode(frame: bytes::Bytes) -> bool {
        crate::requests::decode_only(frame)
    }
}

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

mod answer;
mod api;
mod backlog;
mod broker;
mod caller;
mod complaints;
mod connection;
mod frame;
#[cfg(test)]
mod full_disk;
mod groups;
mod leader_epoch;
pub mod limits;
mod metrics;
mod operations;
mod options;
mod outgoing;
mod own_streams;
mod patterns;
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

pub use broker::Broker;
pub use metrics::KafkaMetrics;
pub use options::KafkaOptions;
pub use own_streams::{BrokerError, GROUPS_STREAM, OFFSETS_STREAM, QUOTAS_STREAM, SHARES_STREAM, TRANSACTIONS_STREAM};
pub use server::serve;
pub use settings::SettingError;
pub use share_begins::ShareBegins;

/// The parts that the fuzz targets drive.
#[doc(hidden)]
pub mod fuzzing {
    /// Takes a frame's bytes through everything that happens before a request has an effect.
    pub fn decode(frame: bytes::Bytes) -> bool {
        crate::requests::decode_only(frame)
    }
}

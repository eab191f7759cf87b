//! What can be configured at this door.

use std::time::Duration;

use crate::limits::{CONNECTION_IDLE_MAX, CONNECTIONS_MAX, FETCH_SESSIONS_MAX, FRAME_BYTES_MAX};

/// How the door behaves.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// The number of the one broker there is.
    pub node_id: i32,
    /// The host and port that clients are told to connect to; `None`: the address at which they reached us.
    pub advertised: Option<(String, u16)>,
    /// Whether asking for the metadata of a topic that is not there creates it.
    pub auto_create: bool,
    /// The partitions of a topic whose creator named no number.
    pub default_partitions: u32,
    /// The largest request taken.
    pub frame_bytes_max: usize,
    /// Connections open at the same time; more are closed at once.
    pub connections_max: usize,
    /// A connection without a request for so long is closed.
    pub connection_idle_max: Duration,
    /// Whether a topic may be asked for with more than one replica; it gets one all the same.
    pub any_replication_factor: bool,
    /// Fetch sessions kept at the same time; 0: none, every fetch names all its partitions.
    pub fetch_sessions_max: usize,
    /// The shortest session timeout a group's member may ask for.
    pub group_session_min: Duration,
    /// The longest session timeout a group's member may ask for.
    pub group_session_max: Duration,
    /// How long a new group waits for more members before its first assignment.
    pub group_initial_delay: Duration,
}

impl Default for KafkaOptions {
    fn default() -> KafkaOptions {
        KafkaOptions {
            node_id: 1,
            advertised: None,
            auto_create: true,
            default_partitions: 1,
            frame_bytes_max: FRAME_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            connection_idle_max: CONNECTION_IDLE_MAX,
            any_replication_factor: false,
            fetch_sessions_max: FETCH_SESSIONS_MAX,
            group_session_min: Duration::from_secs(6),
            group_session_max: Duration::from_secs(1_800),
            group_initial_delay: Duration::ZERO,
        }
    }
}

//! What can be configured at this door.

use std::time::Duration;

use headwater_eventlog::{LogOptions, StreamSettings};

use crate::limits::{
    CONNECTION_IDLE_MAX, CONNECTIONS_MAX, FETCH_SESSIONS_MAX, FRAME_BYTES_MAX, GROUP_CONSUMER_HEARTBEAT_MS,
    GROUP_CONSUMER_SESSION_MS, GROUP_MEMBERS_MAX, GROUP_SHARE_HEARTBEAT_MS, GROUP_SHARE_SESSION_MS,
    SHARE_DELIVERIES_MAX, SHARE_LOCK_MS, SHARE_WINDOW, TRANSACTION_TIMEOUT_MAX, TRANSACTIONAL_ID_EXPIRATION,
    TRANSACTIONAL_IDS_CHECK_INTERVAL,
};
use crate::share_begins::ShareBegins;

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
    /// What is set of a topic that a Kafka client creates, where it says nothing else: Kafka's `log.retention.ms` and others.
    pub topic_defaults: StreamSettings,
    /// The largest request taken.
    pub frame_bytes_max: usize,
    /// How much of what a client sends the kernel holds; `None`: as the system has it.
    pub receive_buffer_bytes: Option<u32>,
    /// How much of what a client is sent the kernel holds; `None`: as the system has it.
    pub send_buffer_bytes: Option<u32>,
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
    /// Members of one group.
    pub group_members_max: usize,
    /// Members of one share group.
    pub group_share_members_max: usize,
    /// How long a new group waits for more members before its first assignment.
    pub group_initial_delay: Duration,
    /// The longest timeout that a transaction may ask for.
    pub transaction_timeout_max: Duration,
    /// An idempotent producer that is silent for so long is forgotten; the log does it, opened with this.
    pub producer_expiration: Duration,
    /// A transactional id that was not used for so long is forgotten.
    pub transactional_id_expiration: Duration,
    /// How often is looked for transactional ids that were not used for so long.
    pub transactional_ids_check_interval: Duration,
    /// A member of the consumer protocol that is silent for so long is gone.
    pub group_consumer_session: Duration,
    /// How often members of the consumer protocol are told to be heard of.
    pub group_consumer_heartbeat: Duration,
    /// A group of the consumer protocol is assigned its partitions anew no sooner after the last time.
    pub group_consumer_assignment_interval: Duration,
    /// A member of a share group that is silent for so long is gone.
    pub group_share_session: Duration,
    /// How often members of a share group are told to be heard of.
    pub group_share_heartbeat: Duration,
    /// A member of a share group has an event for so long before others may have it.
    pub share_lock: Duration,
    /// An event is delivered so often to a share group.
    pub share_deliveries_max: u16,
    /// Offsets from a share group's start on that may wait for a verdict.
    pub share_window: u64,
    /// Where a share group begins that has read nothing yet.
    pub share_begins: ShareBegins,
    /// How long the positions of a group without members are kept: Kafka's `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// How often is looked for positions that were kept long enough.
    pub offsets_check_interval: Duration,
}

impl Default for KafkaOptions {
    fn default() -> KafkaOptions {
        KafkaOptions {
            node_id: 1,
            advertised: None,
            auto_create: true,
            default_partitions: 1,
            topic_defaults: StreamSettings::default(),
            frame_bytes_max: FRAME_BYTES_MAX,
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
            connections_max: CONNECTIONS_MAX,
            connection_idle_max: CONNECTION_IDLE_MAX,
            any_replication_factor: false,
            fetch_sessions_max: FETCH_SESSIONS_MAX,
            group_session_min: Duration::from_secs(6),
            group_session_max: Duration::from_secs(1_800),
            group_members_max: GROUP_MEMBERS_MAX,
            group_share_members_max: GROUP_MEMBERS_MAX,
            group_initial_delay: Duration::ZERO,
            transaction_timeout_max: TRANSACTION_TIMEOUT_MAX,
            producer_expiration: LogOptions::default().producer_silent_max,
            transactional_id_expiration: TRANSACTIONAL_ID_EXPIRATION,
            transactional_ids_check_interval: TRANSACTIONAL_IDS_CHECK_INTERVAL,
            group_consumer_session: Duration::from_millis(GROUP_CONSUMER_SESSION_MS),
            group_consumer_heartbeat: Duration::from_millis(GROUP_CONSUMER_HEARTBEAT_MS),
            group_consumer_assignment_interval: Duration::ZERO,
            group_share_session: Duration::from_millis(GROUP_SHARE_SESSION_MS),
            group_share_heartbeat: Duration::from_millis(GROUP_SHARE_HEARTBEAT_MS),
            share_lock: Duration::from_millis(SHARE_LOCK_MS),
            share_deliveries_max: SHARE_DELIVERIES_MAX,
            share_window: SHARE_WINDOW,
            share_begins: ShareBegins::Latest,
            offsets_retention: Duration::from_secs(7 * 24 * 3_600),
            offsets_check_interval: Duration::from_secs(600),
        }
    }
}

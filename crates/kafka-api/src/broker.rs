//! What all connections share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use headwater_catalog::{Catalog, CatalogError, CreateMode, Format, INTERNAL_PREFIX, StreamDefinition};
use headwater_eventlog::{Cleanup, EventLog, StreamError, StreamInfo, StreamSettings};
use headwater_schedules::Schedules;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::backlog::Backlog;
use crate::complaints::Complaints;
use crate::groups::Groups;
use crate::limits::{ANSWERS_BYTES_MAX, FRAME_ROOM_UNIT, FRAMES_BYTES_MAX};
use crate::metrics::Counters;
use crate::quotas::Quotas;
use crate::sessions::FetchSessions;
use crate::shares::Shares;
use crate::transactions::Transactions;
use crate::{GROUPS_STREAM, KafkaMetrics, KafkaOptions, OFFSETS_STREAM, SHARES_STREAM, TRANSACTIONS_STREAM};

/// The isolation level of a reader who wants only what counts; 0 wants everything.
pub(crate) const READ_COMMITTED: i8 = 1;

/// The only leader epoch there is: partitions never change hands.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The Kafka door's shared state. Clones share it.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) log: EventLog,
    pub(crate) catalog: Catalog,
    pub(crate) schedules: Schedules,
    pub(crate) options: KafkaOptions,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) sessions: FetchSessions,
    pub(crate) quotas: Quotas,
    /// The answers that wait to be sent.
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) complaints: Complaints,
    /// The room that requests still on their way may take, in [`FRAME_ROOM_UNIT`]s.
    pub(crate) frames: Arc<Semaphore>,
    pub(crate) shares: Shares,
    pub(crate) counters: Counters,
    /// The same for as long as the data folder lives.
    pub(crate) cluster_id: String,
    /// Bounds how many compressed batches are expanded at the same time.
    pub(crate) batch_checks: Semaphore,
    /// Where the largest timestamp of a partition stands, as far as it was looked for.
    pub(crate) timestamps_max: Mutex<HashMap<(u128, u32), TimestampMax>>,
}

/// The largest timestamp among the events below an offset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimestampMax {
    pub(crate) looked_to: u64,
    pub(crate) found: Option<(u64, i64)>,
}

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// One of the door's own streams cannot be created.
    #[error("the stream {stream} cannot be created: {why}")]
    Create {
        /// The stream.
        stream: &'static str,
        /// What the log said.
        why: StreamError,
    },
    /// One of the door's own streams cannot be read.
    #[error("what the Kafka door keeps in {stream} cannot be read: {why}; 'headwater log verify' says what is damaged")]
    Read {
        /// The stream.
        stream: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Broker {
    /// Folds the groups' commits into memory (blocking: called before the door opens).
    pub fn new(
        log: EventLog,
        catalog: Catalog,
        schedules: Schedules,
        options: KafkaOptions,
    ) -> Result<Broker, BrokerError> {
        let offsets = own_stream(&log, OFFSETS_STREAM)?;
        own_stream(&log, GROUPS_STREAM)?;
        own_stream(&log, SHARES_STREAM)?;
        own_stream(&log, TRANSACTIONS_STREAM)?;
        let groups = Groups::open(log.clone(), &options)?;
        let quotas = Quotas::open(log.clone())?;
        let transactions = Transactions::open(log.clone(), &groups.offsets)?;
        let shares = Shares::open(log.clone(), &options)?;
        let sessions = FetchSessions::new(options.fetch_sessions_max);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Broker {
            inner: Arc::new(Inner {
                log,
                catalog,
                schedules,
                options,
                groups,
                transactions,
                sessions,
                quotas,
                backlog: Arc::new(Backlog::new(ANSWERS_BYTES_MAX)),
                complaints: Complaints::default(),
                frames: Arc::new(Semaphore::new(FRAMES_BYTES_MAX / FRAME_ROOM_UNIT)),
                shares,
                counters: Counters::default(),
                cluster_id: Uuid::from_u128(offsets.id).simple().to_string(),
                batch_checks: Semaphore::new(cores),
                timestamps_max: Mutex::default(),
            }),
        })
    }

    /// What this door counts.
    pub fn metrics(&self) -> KafkaMetrics {
        self.inner.counters.now()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Inner {
    /// The number of the one broker there is.
    pub(crate) fn node_id(&self) -> BrokerId {
        BrokerId(self.options.node_id)
    }

    /// The topic with an id, as long as it exists.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<StreamInfo> {
        self.log.stream_by_id(id.as_u128())
    }

    /// Creates a topic, a schema-free stream; `Ok` where it is there already and `mode` allows that.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        settings: StreamSettings,
        mode: CreateMode,
        principal: &str,
    ) -> Result<(), CatalogError> {
        let definition = StreamDefinition {
            name: name.to_owned(),
            columns: None,
            key: Vec::new(),
            time: None,
            kind: None,
            tags: Vec::new(),
            partitions,
            format: Format::Json,
            statement: String::new(),
            ..StreamDefinition::default()
        };
        let defined = self
            .catalog
            .define_stream(definition, settings, mode, false, principal)
            .await;
        defined.map(|_| ())
    }

    /// The host and port that a client at this connection is told to use.
    pub(crate) fn advertised(&self, local: SocketAddr) -> (StrBytes, i32) {
        match &self.options.advertised {
            Some((host, port)) => (StrBytes::from_string(host.clone()), i32::from(*port)),
            None => (StrBytes::from_string(local.ip().to_string()), i32::from(local.port())),
        }
    }
}

/// What a client may do, as Kafka's bits: one for each operation of its ACLs.
pub(crate) mod operations {
    const READ: i32 = 1 << 3;
    const WRITE: i32 = 1 << 4;
    const CREATE: i32 = 1 << 5;
    const DELETE: i32 = 1 << 6;
    const ALTER: i32 = 1 << 7;
    const DESCRIBE: i32 = 1 << 8;
    const CLUSTER_ACTION: i32 = 1 << 9;
    const DESCRIBE_CONFIGS: i32 = 1 << 10;
    const ALTER_CONFIGS: i32 = 1 << 11;
    const IDEMPOTENT_WRITE: i32 = 1 << 12;

    /// The client did not ask.
    pub(crate) const NOT_ASKED: i32 = i32::MIN;
    const INTERNAL_TOPIC: i32 = READ | DESCRIBE | DESCRIBE_CONFIGS;
    const TOPIC: i32 = INTERNAL_TOPIC | WRITE | CREATE | DELETE | ALTER | ALTER_CONFIGS;
    pub(crate) const CLUSTER: i32 =
        CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE;

    /// What may be done with a topic.
    pub(crate) fn of_topic(name: &str) -> i32 {
        if super::is_internal(name) {
            INTERNAL_TOPIC
        } else {
            TOPIC
        }
    }
}

/// Whether the leader epoch that a client knows is the one there is; -1 says that it knows none.
pub(crate) fn check_leader_epoch(known: i32) -> Result<(), ResponseError> {
    match known {
        known if known > LEADER_EPOCH => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// The last event for a key counts in each of the door's own streams.
fn own_settings() -> StreamSettings {
    StreamSettings {
        cleanup: Some(Cleanup {
            delete: false,
            compact: true,
        }),
        ..StreamSettings::default()
    }
}

/// One of the door's own streams, created where it is not there.
fn own_stream(log: &EventLog, stream: &'static str) -> Result<StreamInfo, BrokerError> {
    let refuse = |why| BrokerError::Create { stream, why };
    match log.create_stream(stream, 1, own_settings()) {
        Err(StreamError::Exists(_)) => log
            .stream(stream)
            .ok_or_else(|| refuse(StreamError::Unknown(stream.to_owned()))),
        created => created.map_err(refuse),
    }
}

/// Whether a topic is one of the program's own: readable, never written by a client.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with(INTERNAL_PREFIX)
}

/// The error code and message for what the catalog refused.
pub(crate) fn catalog_refusal(error: &CatalogError) -> (ResponseError, StrBytes) {
    let code = match error {
        CatalogError::Exists { noun: "stream", .. } => ResponseError::TopicAlreadyExists,
        CatalogError::Exists { .. }
        | CatalogError::Invalid(_)
        | CatalogError::UnknownColumn { .. }
        | CatalogError::ColumnExists { .. } => ResponseError::InvalidTopicException,
        CatalogError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
        CatalogError::Needed { .. } => ResponseError::PolicyViolation,
        _ => ResponseError::KafkaStorageError,
    };
    (code, StrBytes::from_string(error.to_string()))
}

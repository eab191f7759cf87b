//! What all connections share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use headwater_catalog::{Catalog, CatalogError, CreateMode, StreamDefinition};
use headwater_eventlog::{EventLog, StreamInfo, StreamSettings};
use headwater_schedules::Schedules;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::backlog::Backlog;
use crate::complaints::Complaints;
use crate::frame::FrameRoom;
use crate::groups::Groups;
use crate::limits::{ANSWERS_BYTES_MAX, FRAME_PORTION_BYTES, FRAME_PORTION_FILLING_MAX, FRAMES_BYTES_MAX};
use crate::metrics::Counters;
use crate::own_streams::{self, BrokerError, GROUPS_STREAM, OFFSETS_STREAM, SHARES_STREAM, TRANSACTIONS_STREAM};
use crate::quotas::Quotas;
use crate::sessions::FetchSessions;
use crate::shares::Shares;
use crate::transactions::Transactions;
use crate::{KafkaMetrics, KafkaOptions};

/// The isolation level of a reader who wants only what counts; 0 wants everything.
pub(crate) const READ_COMMITTED: i8 = 1;

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
    /// The room that requests still on their way may take.
    pub(crate) frames: Arc<FrameRoom>,
    pub(crate) shares: Shares,
    /// How many connections there have been: the next one's number.
    pub(crate) connections: AtomicU64,
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

impl Broker {
    /// Folds the groups' commits into memory (blocking: called before the door opens).
    pub fn new(
        log: EventLog,
        catalog: Catalog,
        schedules: Schedules,
        options: KafkaOptions,
    ) -> Result<Broker, BrokerError> {
        let offsets = own_streams::open(&log, OFFSETS_STREAM)?;
        own_streams::open(&log, GROUPS_STREAM)?;
        own_streams::open(&log, SHARES_STREAM)?;
        own_streams::open(&log, TRANSACTIONS_STREAM)?;
        let groups = Groups::open(log.clone(), &options)?;
        let quotas = Quotas::open(log.clone())?;
        let transactions = Transactions::open(log.clone(), &groups.offsets)?;
        let shares = Shares::open(log.clone(), &options, Arc::clone(&groups.configs))?;
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
                frames: Arc::new(FrameRoom::new(
                    FRAMES_BYTES_MAX / FRAME_PORTION_BYTES,
                    FRAME_PORTION_FILLING_MAX,
                )),
                shares,
                connections: AtomicU64::new(0),
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
        let definition = StreamDefinition::schema_free(name, partitions);
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
    let message = match error {
        // Without the words of SQL.
        CatalogError::Exists { noun, name } => {
            let noun = if *noun == "stream" { "topic" } else { noun };
            format!("a {noun} '{name}' exists already: choose another name")
        }
        error => error.to_string(),
    };
    (code, StrBytes::from_string(message))
}

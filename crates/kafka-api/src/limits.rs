//! Every limit of this door, with its reason.

use std::time::Duration;

/// The largest request taken unless configured otherwise: Kafka's `socket.request.max.bytes`.
pub const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;

/// The smallest request there can be: API key, version, correlation id.
pub(crate) const FRAME_BYTES_MIN: usize = 8;

/// A frame of at most so many bytes gets its memory without a share of [`FRAMES_BYTES_MAX`].
pub(crate) const FRAME_BYTES_RESERVED: usize = 64 * 1024;

/// A frame that filled its memory gets at most so many times as much again, which is paid for only as bytes come: growing by doubling
/// would copy a large one whole.
pub(crate) const FRAME_GROWTH: usize = 15;

/// The most elements in all arrays of one request together. A decoded element takes up to some 300 bytes where the wire may need one:
/// this keeps one request's decoded form below 32 MB. A real request names at most as many partitions as a stream has.
pub(crate) const ELEMENTS_MAX: usize = 100_000;

/// Connections open at the same time unless configured otherwise; each costs two tasks and some 6 KiB while it is idle.
pub const CONNECTIONS_MAX: usize = 10_000;

/// A connection without a request for so long is closed unless configured otherwise: Kafka's `connections.max.idle.ms`.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(600);

/// A request that began must be whole after so long: what came of it stays in memory meanwhile.
pub(crate) const FRAME_READ_MAX: Duration = Duration::from_secs(120);

/// The bytes of large requests that may be in memory before they are whole, on all connections together, and beside them the rest of the oldest; more wait.
pub(crate) const FRAMES_BYTES_MAX: usize = 512 * 1024 * 1024;

/// In which portions a large request takes its share of [`FRAMES_BYTES_MAX`], as its bytes come; its memory begins with one of them.
pub(crate) const FRAME_PORTION_BYTES: usize = 1024 * 1024;

/// A request that did not fill a portion of its share in so long is cut off when others wait for room: on a network that is any use it takes a moment.
pub(crate) const FRAME_PORTION_FILLING_MAX: Duration = Duration::from_secs(5);

/// A client that takes nothing of its answers for so long is gone.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_secs(60);

/// And one that takes them more slowly than this, on the whole, is in the way of others.
pub(crate) const WRITE_BYTES_A_SECOND_MIN: usize = 64 * 1024;

/// How many pieces of memory go into one write at most: the kernel takes 1,024, and more than this make it no faster.
pub(crate) const WRITE_PIECES_MAX: usize = 64;

/// Events in memory of fewer bytes are copied into the answer that they belong to: a piece of its own costs more.
pub(crate) const SPLICE_BYTES_MIN: usize = 4 * 1024;

/// How much of the next stretches of an answer the disk is asked to read while one of them is waited for.
pub(crate) const ANSWER_AHEAD_BYTES: u64 = 4 * 1024 * 1024;

/// How many lines are written about clients that break the rules, in a while of [`COMPLAINTS_WINDOW`]: enough to see what is wrong, and with whom.
pub(crate) const COMPLAINTS_MAX: u32 = 20;

/// See [`COMPLAINTS_MAX`].
pub(crate) const COMPLAINTS_WINDOW: Duration = Duration::from_secs(60);

/// How often it is looked whether there is room again for answers that wait to be sent.
pub(crate) const BACKLOG_LOOK: Duration = Duration::from_millis(10);

/// The answers of one connection that may wait to be sent before its next request is looked at; one larger than this waits alone.
pub(crate) const CONNECTION_ANSWERS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The answers of all connections together that may wait to be sent; fetches give less as this fills, see `backlog.rs`.
pub(crate) const ANSWERS_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The longest that a client over its quota is not heard: a longer time would look like a broken connection.
pub(crate) const MUTED_MAX: Duration = Duration::from_secs(3_600);

/// Produce requests of one connection that wait for the disk; clients keep 5 by default and may be set to some dozens.
pub(crate) const RESPONSES_WAITING_MAX: usize = 256;

/// The most bytes one fetch answers, whatever it asks for: Kafka's `fetch.max.bytes`, 55 MiB.
pub(crate) const FETCH_BYTES_MAX: usize = 55 * 1024 * 1024;

/// The longest that a fetch waits for events, whatever it asks for; clients ask for half a second.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// Reads up to so many events below the end run at once on the runtime, as their bytes are in memory; older ones go to a thread for the disk.
pub(crate) const FETCH_RECENT_EVENTS: u64 = 20_000;

/// The most conditions that the records of one batch may have together: all are looked at in one step of the sequencer.
pub(crate) const CONDITIONS_OF_BATCH_MAX: usize = 1_000;

/// How often the records of one batch may be held against the items of its later records' conditions: about a tenth of a second.
pub(crate) const COMPARISONS_OF_BATCH_MAX: usize = 2_000_000;

/// Compressed batches above this size are looked into on a thread of their own, so that other connections go on.
pub(crate) const BATCH_CHECK_INLINE_BYTES: usize = 16 * 1024;

/// Members of one group unless configured otherwise; a rebalance sends every member's metadata to one of them.
pub const GROUP_MEMBERS_MAX: usize = 1_000;

/// A new member that waits for its first answer is given up after so long: Kafka's coordinator has the same, as such a member
/// has no id yet and cannot be heard of.
pub(crate) const GROUP_NEW_MEMBER_WAIT_MS_MAX: u64 = 300_000;

/// What a member may say of itself, or be assigned, together: it is kept as one event, in text a third longer, below the largest batch.
pub(crate) const GROUP_MEMBER_BYTES_MAX: usize = 256 * 1024;

/// Keys and values of the door's own events that are written as one batch: half of the largest batch, as offsets and lengths come on top.
pub(crate) const OWN_BATCH_BYTES: usize = 512 * 1024;

/// The door's own events of several steps that are written in one append; a step is never split.
pub(crate) const OWN_APPEND_EVENTS_MAX: usize = 1_000;

/// The longest name of a group: it is part of the key of each of its commits. Kafka takes up to 32 KiB, nobody uses more than some dozens.
pub(crate) const GROUP_ID_BYTES_MAX: usize = 1_024;

/// A look at the topics is so old at most when it decides on an assignment; members are heard of every few seconds.
pub(crate) const GROUP_TOPICS_AGE_MS_MAX: u64 = 500;

/// The longest pattern of names; a topic's has at most 249 bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 4_096;

/// The most memory that one pattern takes while it is matched; counted repetitions make small patterns large. To compile so much takes some milliseconds.
pub(crate) const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Of how many patterns it is remembered what they choose, for all groups: the members of a group mostly have the same one.
pub(crate) const GROUP_PATTERNS_KEPT_MAX: usize = 1_000;

/// What of a group found the disk full is tried again after so long.
pub(crate) const GROUP_RETRY_MS: u64 = 1_000;

/// Members of the consumer protocol that are silent for so long are gone: Kafka's `group.consumer.session.timeout.ms`.
pub(crate) const GROUP_CONSUMER_SESSION_MS: u64 = 45_000;

/// How often members of the consumer protocol are told to be heard of: Kafka's `group.consumer.heartbeat.interval.ms`.
pub(crate) const GROUP_CONSUMER_HEARTBEAT_MS: u64 = 5_000;

/// Members of share groups that are silent for so long are gone: Kafka's `group.share.session.timeout.ms`.
pub(crate) const GROUP_SHARE_SESSION_MS: u64 = 45_000;

/// How often members of share groups are told to be heard of: Kafka's `group.share.heartbeat.interval.ms`.
pub(crate) const GROUP_SHARE_HEARTBEAT_MS: u64 = 5_000;

/// Groups at the same time. Their state is in memory, and any client may name a new one.
pub(crate) const GROUPS_MAX: usize = 100_000;

/// The text a client may keep beside a commit: Kafka's `offset.metadata.max.bytes`.
pub(crate) const COMMIT_METADATA_BYTES_MAX: usize = 4_096;

/// Fetch sessions at the same time unless configured otherwise: Kafka's `max.incremental.fetch.session.cache.slots`.
pub const FETCH_SESSIONS_MAX: usize = 1_000;

/// The partitions of all fetch sessions together; each takes some 150 bytes.
pub(crate) const FETCH_SESSION_PARTITIONS_MAX: usize = 500_000;

/// A session that was silent, or that began, longer ago than this may be ended for another: Kafka's eviction age.
pub(crate) const FETCH_SESSION_AGE_MIN: Duration = Duration::from_secs(120);

/// The most partitions one page of a description names: Kafka's `max.request.partition.size.limit`.
pub(crate) const DESCRIBED_PARTITIONS_MAX: u32 = 2_000;

/// Entities that have quotas at the same time: each alteration looks at all of them.
pub(crate) const QUOTA_ENTITIES_MAX: usize = 10_000;

/// Users and client ids whose bytes are counted at the same time; a client may name itself anything.
pub(crate) const QUOTA_COUNTERS_MAX: usize = 10_000;

/// Topics, groups and brokers whose configurations one request is told, a few KiB each: all topics of a large broker at once.
pub(crate) const CONFIGS_DESCRIBED_MAX: usize = 10_000;

/// Share sessions at the same time: Kafka's `group.share.max.share.sessions`.
pub(crate) const SHARE_SESSIONS_MAX: usize = 2_000;

/// Offsets from a share group's start on that may wait for a verdict: Kafka's `group.share.partition.max.record.locks`. What
/// became of each is written down with every verdict.
pub(crate) const SHARE_WINDOW: u64 = 2_000;

/// A member of a share group has an event for so long: Kafka's `group.share.record.lock.duration.ms`.
pub(crate) const SHARE_LOCK_MS: u64 = 30_000;

/// An event is delivered so often to a share group: Kafka's `group.share.delivery.count.limit`.
pub(crate) const SHARE_DELIVERIES_MAX: u16 = 5;

/// What is read of a partition at a time for a member of a share group.
pub(crate) const SHARE_READ_BYTES: usize = 1024 * 1024;

/// How often a fetch looks again at once when others took the events that it had found; after that it waits.
pub(crate) const SHARE_TRIES_MAX: usize = 10;

/// Verdicts on events one by one in a request together: one for each event that may be held, and as many again.
pub(crate) const SHARE_VERDICTS_MAX: usize = 100_000;

/// Transactional ids at the same time. Their state is in memory, and any client may name a new one.
pub(crate) const TRANSACTIONAL_IDS_MAX: usize = 100_000;

/// The longest transactional id: Kafka takes what fits into a string of its protocol.
pub(crate) const TRANSACTIONAL_ID_BYTES_MAX: usize = 32_767;

/// What is known of one transactional id takes so many bytes at most: it is written whole with every change, and must fit into a batch.
/// That is room for 100,000 partitions of one stream, or for some 4,000 offsets.
pub(crate) const TRANSACTION_STATE_BYTES_MAX: usize = 768 * 1024;

/// Partitions in which a producer's batch was not taken and is to come again, of one transactional id: a producer has some dozens of batches on their way.
pub(crate) const TRANSACTION_REFUSED_MAX: usize = 1_000;

/// The longest timeout that a transaction may ask for unless configured otherwise: Kafka's `transaction.max.timeout.ms`.
pub const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(900);

/// A transactional id that was not used for so long is forgotten unless configured otherwise: Kafka's `transactional.id.expiration.ms`.
pub const TRANSACTIONAL_ID_EXPIRATION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How often unused transactional ids are looked for unless configured otherwise; Kafka's
/// `transaction.remove.expired.transaction.cleanup.interval.ms` is an hour.
pub const TRANSACTIONAL_IDS_CHECK_INTERVAL: Duration = Duration::from_secs(600);

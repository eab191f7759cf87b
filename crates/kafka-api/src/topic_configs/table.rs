//! The table of topic configurations.

use super::config::{Kind, Means, TopicConfig};

const LONG_MAX: &str = "9223372036854775807";
/// No limit: the largest record that a broker in Java could hold.
const DECOMPRESSED_BYTES_MAX: &str = "2147483639";

fn same(text: &str) -> Result<String, &'static str> {
    Ok(text.to_owned())
}

fn back(text: &str) -> String {
    text.to_owned()
}

/// -1 says that there is no limit.
fn unlimited(text: &str) -> Result<String, &'static str> {
    match text.parse::<i64>() {
        Ok(-1) => Ok("forever".to_owned()),
        Ok(0..) => Ok(text.to_owned()),
        _ => Err("it is a whole number of at least -1, which means without limit"),
    }
}

fn unlimited_back(text: &str) -> String {
    if text == "forever" { "-1" } else { text }.to_owned()
}

/// At least 1; the largest number there is says that there is no limit.
fn far_from_1(text: &str) -> Result<String, &'static str> {
    match text {
        "0" => Err("it is a whole number of at least 1"),
        _ => far(text),
    }
}

/// The largest number there is says that there is no limit.
fn far(text: &str) -> Result<String, &'static str> {
    match text.parse::<i64>() {
        Ok(i64::MAX) => Ok("forever".to_owned()),
        Ok(0..) => Ok(text.to_owned()),
        _ => Err("it is a whole number of at least 0"),
    }
}

fn far_back(text: &str) -> String {
    if text == "forever" { LONG_MAX } else { text }.to_owned()
}

fn cleanup(text: &str) -> Result<String, &'static str> {
    let is_policy = |item: &str| matches!(item.trim(), "delete" | "compact");
    match text {
        "" => Ok("none".to_owned()),
        _ if text.split(',').all(is_policy) => Ok(text.to_owned()),
        _ => Err("it is delete, compact, or both with a comma between"),
    }
}

fn cleanup_back(text: &str) -> String {
    if text == "none" { "" } else { text }.to_owned()
}

fn timestamps(text: &str) -> Result<String, &'static str> {
    match text {
        "CreateTime" => Ok("create".to_owned()),
        "LogAppendTime" => Ok("append".to_owned()),
        _ => Err("it is CreateTime or LogAppendTime"),
    }
}

fn timestamps_back(text: &str) -> String {
    if text == "append" {
        "LogAppendTime"
    } else {
        "CreateTime"
    }
    .to_owned()
}

fn compression(text: &str) -> Result<String, &'static str> {
    match text {
        "producer" => Ok("as sent".to_owned()),
        "uncompressed" => Ok("none".to_owned()),
        "gzip" | "snappy" | "lz4" | "zstd" => Ok(text.to_owned()),
        _ => Err("it is producer, uncompressed, gzip, snappy, lz4 or zstd"),
    }
}

fn compression_back(text: &str) -> String {
    match text {
        "as sent" => "producer",
        "none" => "uncompressed",
        other => other,
    }
    .to_owned()
}

fn segment_bytes(text: &str) -> Result<String, &'static str> {
    match text.parse::<i32>() {
        Ok(bytes) if bytes >= 1_048_576 => Ok(text.to_owned()),
        _ => Err("it is a whole number from 1048576 to 2147483647"),
    }
}

fn replicas(text: &str) -> Result<(), &'static str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |pair: &str| {
        let pair = pair.trim().split_once(':');
        pair.is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    match text {
        "" | "*" | "none" => Ok(()),
        _ if text.split(',').all(is_pair) => Ok(()),
        _ => Err("it is a list of PARTITION:BROKER, or *"),
    }
}

fn boolean(text: &str) -> Result<(), &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "false" => Ok(()),
        _ => Err("it is true or false"),
    }
}

fn off(text: &str) -> Result<(), &'static str> {
    match text {
        "false" => Ok(()),
        _ => Err("it is false: everything is kept on this machine"),
    }
}

fn no_dead_letters(text: &str) -> Result<(), &'static str> {
    match text {
        "false" => Ok(()),
        _ => Err("it is false: share groups put nothing aside here, what was delivered too often is left out"),
    }
}

fn any_decompressed(text: &str) -> Result<(), &'static str> {
    match text == DECOMPRESSED_BYTES_MAX {
        true => Ok(()),
        false => Err(
            "it is 2147483639: batches are not opened to look at their records; max.message.bytes bounds them as they are sent",
        ),
    }
}

fn at_least_minus_1(text: &str) -> Result<(), &'static str> {
    match text.parse::<i64>() {
        Ok(-1..) => Ok(()),
        _ => Err("it is a whole number of at least -1"),
    }
}

fn at_least_0(text: &str) -> Result<(), &'static str> {
    match text.parse::<i64>() {
        Ok(0..) => Ok(()),
        _ => Err("it is a whole number of at least 0"),
    }
}

fn at_least_1(text: &str) -> Result<(), &'static str> {
    match text.parse::<i64>() {
        Ok(1..) => Ok(()),
        _ => Err("it is a whole number of at least 1"),
    }
}

fn at_least_4(text: &str) -> Result<(), &'static str> {
    match text.parse::<i32>() {
        Ok(4..) => Ok(()),
        _ => Err("it is a whole number of at least 4"),
    }
}

fn at_least_minus_2(text: &str) -> Result<(), &'static str> {
    match text.parse::<i64>() {
        Ok(-2..) => Ok(()),
        _ => Err("it is a whole number of at least -2"),
    }
}

fn gzip_level(text: &str) -> Result<(), &'static str> {
    match text.parse::<i32>() {
        Ok(-1 | 1..=9) => Ok(()),
        _ => Err("it is a whole number from 1 to 9, or -1"),
    }
}

fn lz4_level(text: &str) -> Result<(), &'static str> {
    match text.parse::<i32>() {
        Ok(1..=17) => Ok(()),
        _ => Err("it is a whole number from 1 to 17"),
    }
}

fn zstd_level(text: &str) -> Result<(), &'static str> {
    match text.parse::<i32>() {
        Ok(-131_072..=22) => Ok(()),
        _ => Err("it is a whole number from -131072 to 22"),
    }
}

/// How Kafka's text becomes the log's, and back.
type Convert = (fn(&str) -> Result<String, &'static str>, fn(&str) -> String);

const SAME: Convert = (same, back);
const UNLIMITED: Convert = (unlimited, unlimited_back);
const FAR: Convert = (far, far_back);
const FAR_FROM_1: Convert = (far_from_1, far_back);

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker: &'static str,
    setting: &'static str,
    (to_log, to_kafka): Convert,
    about: &'static str,
) -> TopicConfig {
    TopicConfig {
        name,
        kind,
        default,
        broker,
        means: Means::Setting {
            name: setting,
            to_log,
            to_kafka,
        },
        about,
    }
}

const fn kept(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker: &'static str,
    check: fn(&str) -> Result<(), &'static str>,
    about: &'static str,
) -> TopicConfig {
    TopicConfig {
        name,
        kind,
        default,
        broker,
        means: Means::Kept(check),
        about,
    }
}

const ALREADY: &str = "Kept and shown, and without effect: an acknowledged batch is flushed.";
const ONE_BROKER: &str = "Kept and shown, and without effect: there is one broker.";
const OWN_LAYOUT: &str = "Kept and shown, and without effect: the log lays its files out in its own way.";
const LOCAL: &str = "Kept and shown, and without effect: everything is kept on this machine.";

/// Every configuration of a topic that is taken, by name.
pub(crate) const TOPIC_CONFIGS: &[TopicConfig] = &[
    setting(
        "cleanup.policy",
        Kind::List,
        "delete",
        "log.cleanup.policy",
        "cleanup",
        (cleanup, cleanup_back),
        "What becomes of old records: delete those beyond the retention, compact to the newest of each key, both, or neither.",
    ),
    kept(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        "compression.gzip.level",
        gzip_level,
        OWN_LAYOUT,
    ),
    kept(
        "compression.lz4.level",
        Kind::Int,
        "9",
        "compression.lz4.level",
        lz4_level,
        OWN_LAYOUT,
    ),
    setting(
        "compression.type",
        Kind::Text,
        "producer",
        "compression.type",
        "compression",
        (compression, compression_back),
        "How batches are compressed: as the producer did, or all in one way.",
    ),
    kept(
        "compression.zstd.level",
        Kind::Int,
        "3",
        "compression.zstd.level",
        zstd_level,
        OWN_LAYOUT,
    ),
    setting(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        "log.cleaner.delete.retention.ms",
        "tombstone_ms",
        SAME,
        "How long a compacted topic keeps a tombstone after compaction first met it.",
    ),
    kept(
        "errors.deadletterqueue.group.enable",
        Kind::Boolean,
        "false",
        "",
        no_dead_letters,
        "Whether share groups may write to the topic what they could not process; they have no such topics here.",
    ),
    kept(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        "log.segment.delete.delay.ms",
        at_least_0,
        OWN_LAYOUT,
    ),
    kept(
        "flush.messages",
        Kind::Long,
        LONG_MAX,
        "log.flush.interval.messages",
        at_least_1,
        ALREADY,
    ),
    kept(
        "flush.ms",
        Kind::Long,
        LONG_MAX,
        "log.flush.interval.ms",
        at_least_0,
        ALREADY,
    ),
    kept(
        "follower.replication.throttled.replicas",
        Kind::List,
        "",
        "",
        replicas,
        ONE_BROKER,
    ),
    setting(
        "headwater.entities",
        Kind::Text,
        "none",
        "",
        "entities",
        SAME,
        "Whether the records of one key are found without a scan and conditions may speak of them: indexed, or none.",
    ),
    setting(
        "headwater.durability",
        Kind::Text,
        "flushed",
        "",
        "durability",
        SAME,
        "What an acknowledgement means: flushed, or relaxed: in memory, and flushed within headwater.flush.ms.",
    ),
    setting(
        "headwater.flush.ms",
        Kind::Long,
        "500",
        "",
        "flush_ms",
        SAME,
        "How long a batch of a relaxed topic waits for its flush at most.",
    ),
    kept(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        "log.index.interval.bytes",
        at_least_0,
        OWN_LAYOUT,
    ),
    kept(
        "leader.replication.throttled.replicas",
        Kind::List,
        "",
        "",
        replicas,
        ONE_BROKER,
    ),
    kept(
        "local.retention.bytes",
        Kind::Long,
        "-2",
        "log.local.retention.bytes",
        at_least_minus_2,
        LOCAL,
    ),
    kept(
        "local.retention.ms",
        Kind::Long,
        "-2",
        "log.local.retention.ms",
        at_least_minus_2,
        LOCAL,
    ),
    setting(
        "max.compaction.lag.ms",
        Kind::Long,
        LONG_MAX,
        "log.cleaner.max.compaction.lag.ms",
        "compaction_lag_ms_max",
        FAR_FROM_1,
        "When a record may wait no longer for compaction.",
    ),
    kept(
        "max.decompressed.message.bytes",
        Kind::Int,
        DECOMPRESSED_BYTES_MAX,
        "max.decompressed.message.bytes",
        any_decompressed,
        "The largest record once its batch is decompressed; batches are taken as they are, and have to be so small themselves.",
    ),
    setting(
        "max.message.bytes",
        Kind::Int,
        "",
        "message.max.bytes",
        "batch_bytes_max",
        SAME,
        "The largest batch taken, as it is sent.",
    ),
    setting(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        "log.message.timestamp.after.max.ms",
        "timestamp_after_ms_max",
        FAR,
        "How far a producer's timestamp may be in the future.",
    ),
    setting(
        "message.timestamp.before.max.ms",
        Kind::Long,
        LONG_MAX,
        "log.message.timestamp.before.max.ms",
        "timestamp_before_ms_max",
        FAR,
        "How far a producer's timestamp may be in the past.",
    ),
    setting(
        "message.timestamp.type",
        Kind::Text,
        "CreateTime",
        "log.message.timestamp.type",
        "timestamps",
        (timestamps, timestamps_back),
        "Whose clock the timestamps are: the producer's, or the log's.",
    ),
    setting(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        "log.cleaner.min.cleanable.ratio",
        "dirty_ratio_min",
        SAME,
        "Which part of a partition's closed bytes must be new before it is compacted.",
    ),
    setting(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        "log.cleaner.min.compaction.lag.ms",
        "compaction_lag_ms_min",
        SAME,
        "How long a record is safe from compaction.",
    ),
    kept(
        "min.insync.replicas",
        Kind::Int,
        "1",
        "min.insync.replicas",
        at_least_1,
        ONE_BROKER,
    ),
    kept(
        "preallocate",
        Kind::Boolean,
        "false",
        "log.preallocate",
        boolean,
        OWN_LAYOUT,
    ),
    kept(
        "remote.copy.lag.bytes",
        Kind::Long,
        "-1",
        "log.remote.copy.lag.bytes",
        at_least_minus_1,
        LOCAL,
    ),
    kept(
        "remote.copy.lag.ms",
        Kind::Long,
        "0",
        "log.remote.copy.lag.ms",
        at_least_minus_1,
        LOCAL,
    ),
    kept("remote.log.copy.disable", Kind::Boolean, "false", "", boolean, LOCAL),
    kept(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        "false",
        "",
        boolean,
        LOCAL,
    ),
    kept("remote.storage.enable", Kind::Boolean, "false", "", off, LOCAL),
    setting(
        "retention.bytes",
        Kind::Long,
        "-1",
        "log.retention.bytes",
        "retention_bytes",
        UNLIMITED,
        "How many bytes of a partition are kept; -1: all.",
    ),
    setting(
        "retention.ms",
        Kind::Long,
        "-1",
        "log.retention.ms",
        "retention_ms",
        UNLIMITED,
        "How long records are kept after they were appended; -1: for ever.",
    ),
    setting(
        "segment.bytes",
        Kind::Int,
        "",
        "log.segment.bytes",
        "segment_bytes",
        (segment_bytes, back),
        "The size at which a segment is closed.",
    ),
    kept(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        "log.index.size.max.bytes",
        at_least_4,
        OWN_LAYOUT,
    ),
    kept(
        "segment.jitter.ms",
        Kind::Long,
        "0",
        "log.roll.jitter.ms",
        at_least_0,
        OWN_LAYOUT,
    ),
    setting(
        "segment.ms",
        Kind::Long,
        "604800000",
        "log.roll.ms",
        "segment_ms",
        SAME,
        "How long after its first record a segment is closed; unless set, sooner where the retention is short.",
    ),
    kept(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "unclean.leader.election.enable",
        boolean,
        ONE_BROKER,
    ),
];

//! What a client may do, as Kafka's bits: one for each operation of its ACLs.

use crate::own_streams::is_internal;

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

const GROUP: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;

/// What may be done with a group, where the client asked.
pub(crate) fn of_group(asked: bool) -> i32 {
    if asked { GROUP } else { NOT_ASKED }
}

/// What may be done with a topic.
pub(crate) fn of_topic(name: &str) -> i32 {
    if is_internal(name) { INTERNAL_TOPIC } else { TOPIC }
}

//! A member's partitions, as the responses of both kinds of groups name them: by topic.

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::groups::partitions::Partitions;
use crate::groups::topics::Topics;

/// Each topic's id and the numbers of its partitions.
pub(super) fn by_id(partitions: &Partitions) -> impl Iterator<Item = (Uuid, Vec<i32>)> {
    partitions.by_topic().map(|(id, of_topic)| {
        let numbers = of_topic.iter().map(|partition| partition.cast_signed()).collect();
        (Uuid::from_u128(id), numbers)
    })
}

/// [`by_id`] with the topics' names; the partitions of a topic that is gone are on their way out.
pub(super) fn by_name(partitions: &Partitions, topics: &Topics) -> impl Iterator<Item = (Uuid, TopicName, Vec<i32>)> {
    by_id(partitions).filter_map(|(id, numbers)| {
        let name = topics.name(id.as_u128())?.to_owned();
        Some((id, TopicName(StrBytes::from_string(name)), numbers))
    })
}

//! DeleteRecords: a partition's start moves forward.

use headwater_eventlog::StreamError;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::caller::Caller;
use crate::own_streams::is_internal;

pub(super) type Request = DeleteRecordsRequest;

/// The offset that stands for the high watermark.
const ALL: i64 = -1;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> DeleteRecordsResponse {
    let mut topics: Vec<DeleteRecordsTopicResult> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions: Vec<DeleteRecordsPartitionResult> = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            partitions.push(match delete(caller, &topic.name, &asked).await {
                Ok(start) => result.with_low_watermark(start as i64),
                Err(code) => result.with_low_watermark(-1).with_error_code(code.code()),
            });
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn delete(caller: &Caller, name: &str, asked: &DeleteRecordsPartition) -> Result<u64, ResponseError> {
    let log = &caller.broker.log;
    let partition = u32::try_from(asked.partition_index).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    let offsets = log
        .offsets(name, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    if is_internal(name) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let cleanup = log.stream(name).map(|info| info.settings.cleanup());
    if cleanup.is_some_and(|cleanup| cleanup.compact && !cleanup.delete) {
        // As Kafka does: of a topic that is only compacted nothing is deleted from the front.
        return Err(ResponseError::PolicyViolation);
    }
    let before = match asked.offset {
        ALL => offsets.high_watermark,
        offset => u64::try_from(offset).map_err(|_| ResponseError::OffsetOutOfRange)?,
    };
    let (log, stream) = (log.clone(), name.to_owned());
    let deleting = tokio::task::spawn_blocking(move || log.delete_records(&stream, partition, before));
    match deleting.await {
        Ok(Ok(start)) => Ok(start),
        Ok(Err(StreamError::Beyond { .. })) => Err(ResponseError::OffsetOutOfRange),
        Ok(Err(StreamError::Unknown(_))) => Err(ResponseError::UnknownTopicOrPartition),
        Ok(Err(error)) => {
            tracing::error!("records could not be deleted: {error}");
            Err(ResponseError::KafkaStorageError)
        }
        Err(_) => Err(ResponseError::UnknownServerError),
    }
}

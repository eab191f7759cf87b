//! Produce: batches into the log. Every partition of a request is submitted before the first one's flush is awaited.

use bytes::Bytes;
use headwater_eventlog::{Append, AppendError, AppendOutcome, Part, StreamInfo};
use headwater_records::{Batch, BatchError, Compression};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::Reply;
use crate::broker::{Inner, is_internal};
use crate::connection::{Answer, Caller, Pending};
use crate::limits::BATCH_CHECK_INLINE_BYTES;
use crate::metrics::count;
use crate::quotas::Direction;

/// Why a partition's part was not taken.
struct Refusal {
    code: ResponseError,
    message: String,
}

/// One partition's part on its way.
struct Sent {
    index: i32,
    submitted: Result<Submitted, Refusal>,
}

/// What the log was handed.
struct Submitted {
    outcome: AppendOutcome,
    events: u32,
    bytes: usize,
}

/// One topic's parts on their way.
struct SentTopic {
    name: TopicName,
    topic_id: Uuid,
    partitions: Vec<Sent>,
}

/// Hands everything to the log in the request's order; the answer follows the flush.
pub(super) async fn submit(caller: &Caller, request: ProduceRequest, reply: Reply) -> Pending {
    let acks = request.acks;
    let refused = refuse_all(&request);
    let throttle_ms = throttle(caller, &request);
    let mut topics: Vec<SentTopic> = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let stream = if reply.version >= 13 {
            caller
                .broker
                .topic_by_id(topic.topic_id)
                .ok_or(ResponseError::UnknownTopicId)
        } else {
            caller
                .broker
                .log
                .stream(&topic.name)
                .ok_or(ResponseError::UnknownTopicOrPartition)
        };
        let mut partitions: Vec<Sent> = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let submitted = match (&refused, &stream) {
                (Some((code, why)), _) => Err(refusal(*code, (*why).to_owned())),
                (None, Err(code)) => Err(refusal(*code, "there is no such topic: create it first".to_owned())),
                (None, Ok(stream)) => submit_partition(caller, stream, data).await,
            };
            partitions.push(Sent { index, submitted });
        }
        topics.push(SentTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions,
        });
    }
    let broker = std::sync::Arc::clone(&caller.broker);
    Pending::Later(Box::pin(async move {
        finish(&broker, topics, acks, throttle_ms, reply).await
    }))
}

/// Counts what is written against the client's quota; how long it is muted for.
fn throttle(caller: &Caller, request: &ProduceRequest) -> i32 {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let bytes = partitions
        .filter_map(|data| data.records.as_ref().map(Bytes::len))
        .sum();
    let quotas = &caller.broker.quotas;
    let over = quotas.count(
        caller.user(),
        &caller.client_id,
        Direction::Written,
        bytes,
        Instant::now(),
    );
    caller.mute(over)
}

/// What concerns the request as a whole.
fn refuse_all(request: &ProduceRequest) -> Option<(ResponseError, &'static str)> {
    if request.transactional_id.is_some() {
        let why = "transactions are not offered here: produce without a transactional.id";
        return Some((ResponseError::TransactionalIdAuthorizationFailed, why));
    }
    match request.acks {
        -1..=1 => None,
        _ => Some((ResponseError::InvalidRequiredAcks, "acks is none of 0, 1, all (-1)")),
    }
}

async fn submit_partition(
    caller: &Caller,
    stream: &StreamInfo,
    data: PartitionProduceData,
) -> Result<Submitted, Refusal> {
    if is_internal(&stream.name) {
        let why = format!(
            "'{}' is kept by the program itself: it can be read, not written",
            stream.name
        );
        return Err(refusal(ResponseError::TopicAuthorizationFailed, why));
    }
    let unknown = || {
        refusal(
            ResponseError::UnknownTopicOrPartition,
            "there is no such partition".to_owned(),
        )
    };
    let partition = u32::try_from(data.index).map_err(|_| unknown())?;
    if partition >= stream.partitions {
        return Err(unknown());
    }
    let batch = take_batch(data)?;
    let batch = check_events(&caller.broker, batch).await?;
    let (events, bytes) = (batch.event_count(), batch.bytes().len());
    let append = Append {
        parts: vec![Part {
            stream: stream.name.clone(),
            partition,
            batch,
        }],
        principal: caller.principal.to_string(),
        condition: None,
    };
    Ok(Submitted {
        outcome: caller.broker.log.submit(append).await,
        events,
        bytes,
    })
}

/// Exactly one whole batch, of a kind that a client may write.
fn take_batch(data: PartitionProduceData) -> Result<Batch, Refusal> {
    let invalid = |why: &str| refusal(ResponseError::InvalidRecord, why.to_owned());
    let mut records = data.records.unwrap_or_default();
    if records.is_empty() {
        return Err(invalid("there is no batch for this partition"));
    }
    let batch = Batch::take(&mut records).map_err(|error| batch_refusal(&error))?;
    if !records.is_empty() {
        return Err(invalid(
            "there is more than one batch for this partition: send one a request",
        ));
    }
    if batch.is_control() || batch.is_transactional() {
        return Err(invalid(
            "the batch is part of a transaction; transactions are not offered here",
        ));
    }
    if batch.is_append_time() {
        let why = "the batch says its timestamps are append times: only the broker may".to_owned();
        return Err(refusal(ResponseError::InvalidTimestamp, why));
    }
    Ok(batch)
}

/// Looks at every event, so that no reader finds later what can be refused now. A large compressed batch is expanded on another thread.
async fn check_events(broker: &Inner, batch: Batch) -> Result<Batch, Refusal> {
    let inline = batch.compression() == Compression::None || batch.bytes().len() <= BATCH_CHECK_INLINE_BYTES;
    let checked = if inline {
        batch.check_events().map(|()| batch)
    } else {
        let _permit = broker.batch_checks.acquire().await;
        let checking = tokio::task::spawn_blocking(move || batch.check_events().map(|()| batch));
        match checking.await {
            Ok(checked) => checked,
            Err(_) => {
                return Err(refusal(
                    ResponseError::UnknownServerError,
                    "the program is stopping".to_owned(),
                ));
            }
        }
    };
    checked.map_err(|error| batch_refusal(&error))
}

async fn finish(broker: &Inner, topics: Vec<SentTopic>, acks: i16, throttle_ms: i32, reply: Reply) -> Answer {
    let mut failed = false;
    let mut responses: Vec<TopicProduceResponse> = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions: Vec<PartitionProduceResponse> = Vec::with_capacity(topic.partitions.len());
        for sent in topic.partitions {
            let landed = match sent.submitted {
                Ok(submitted) => land(broker, submitted).await,
                Err(refusal) => Err(refusal),
            };
            failed |= landed.is_err();
            partitions.push(respond(sent.index, landed));
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions),
        );
    }
    if acks == 0 {
        return if failed { Answer::Close } else { Answer::Nothing };
    }
    let response = ProduceResponse::default()
        .with_responses(responses)
        .with_throttle_time_ms(throttle_ms);
    match reply.frame(&response) {
        Ok(frame) => Answer::Frame(frame),
        Err(error) => {
            count(&broker.counters.refused, 1);
            tracing::error!("{error}");
            Answer::Close
        }
    }
}

/// Waits for the flush. A retry of what is in the log already is a success at the first try's offset.
async fn land(broker: &Inner, submitted: Submitted) -> Result<u64, Refusal> {
    match submitted.outcome.await {
        Ok(Ok(appended)) => {
            if !appended.duplicate {
                count(&broker.counters.events_in, u64::from(submitted.events));
                count(&broker.counters.bytes_in, submitted.bytes as u64);
            }
            Ok(appended.base_offsets.first().copied().unwrap_or_default())
        }
        Ok(Err(error)) => Err(append_refusal(&error)),
        Err(_) => Err(refusal(
            ResponseError::KafkaStorageError,
            "the log was closed".to_owned(),
        )),
    }
}

fn respond(index: i32, landed: Result<u64, Refusal>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default()
        .with_index(index)
        .with_log_append_time_ms(-1);
    match landed {
        Ok(base_offset) => response.with_base_offset(base_offset as i64).with_log_start_offset(0),
        Err(refusal) => response
            .with_error_code(refusal.code.code())
            .with_base_offset(-1)
            .with_log_start_offset(-1)
            .with_error_message(Some(StrBytes::from_string(refusal.message))),
    }
}

fn refusal(code: ResponseError, message: String) -> Refusal {
    Refusal { code, message }
}

fn batch_refusal(error: &BatchError) -> Refusal {
    let code = match error {
        BatchError::Short { .. } | BatchError::Crc { .. } => ResponseError::CorruptMessage,
        BatchError::Magic { .. } => ResponseError::UnsupportedForMessageFormat,
        BatchError::Malformed(_) => ResponseError::InvalidRecord,
    };
    refusal(code, error.to_string())
}

fn append_refusal(error: &AppendError) -> Refusal {
    let code = match error {
        AppendError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::OutOfSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Fenced { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::Stopped { .. } => ResponseError::KafkaStorageError,
        _ => ResponseError::UnknownServerError,
    };
    refusal(code, error.to_string())
}

/// Whether every batch of a request would be taken: what the fuzz targets drive.
pub(super) fn check_batches(request: ProduceRequest) -> bool {
    request
        .topic_data
        .into_iter()
        .flat_map(|topic| topic.partition_data)
        .all(|data| {
            let batch = take_batch(data);
            batch.is_ok_and(|batch| batch.check_events().is_ok())
        })
}

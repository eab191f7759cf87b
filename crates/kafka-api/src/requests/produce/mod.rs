//! Produce: batches into the log. Every partition of a request is submitted before the first one's flush is awaited.
//!
//! What a batch must be to be taken is decided in `admission.rs`. What its records ask for in their headers is read in `asked.rs`: what they
//! depend on (`conditions.rs`), and whether they are to be appended later (`later.rs`).

mod admission;
mod asked;
mod conditions;
mod later;

use std::sync::Arc;

use bytes::Bytes;
use headwater_catalog::ColumnFacets;
use headwater_eventlog::{Append, AppendError, AppendOutcome, Part, StreamInfo};
use headwater_records::{Batch, Compression};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use uuid::Uuid;

use admission::{Refusal, Rules};
use asked::Asked;

use super::reply::Reply;
use crate::answer::{Answer, Pending};
use crate::broker::Inner;
use crate::caller::Caller;
use crate::limits::BATCH_CHECK_INLINE_BYTES;
use crate::metrics::count;
use crate::own_streams::is_internal;
use crate::quotas::Direction;
use crate::transactions::{Identity, Place};

/// From this version on clients know that a transaction can only be aborted.
const VERSION_ABORTABLE: i16 = 11;

/// From this version on a partition becomes part of a transaction with the first batch for it (KIP-890).
const VERSION_ADDS: i16 = 12;

/// Who writes, as the request says.
struct Writer {
    transactional_id: Option<String>,
    version: i16,
    /// The bytes of all batches of the request.
    request_bytes: usize,
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
    log_start: u64,
    /// The moment that took the place of the writer's timestamps, where the stream says so.
    stamped_ms: Option<i64>,
    /// The records that the append's conditions came from.
    conditional: Arc<[i32]>,
}

/// Where a batch is.
struct Landed {
    base_offset: u64,
    log_start: u64,
    stamped_ms: Option<i64>,
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
    let request_bytes = records_bytes(&request);
    let quotas = &caller.broker.quotas;
    let over = quotas.count(
        caller.user(),
        &caller.client_id,
        Direction::Written,
        request_bytes,
        Instant::now(),
    );
    let throttle_ms = caller.mute(over);
    let writer = Writer {
        transactional_id: request.transactional_id.as_ref().map(|id| id.to_string()),
        version: reply.version,
        request_bytes,
    };
    let mut topics: Vec<SentTopic> = Vec::with_capacity(request.topic_data.len());
    for mut topic in request.topic_data {
        // A copy: while anyone holds a part of the frame, the batch in it could not be given its offset in place.
        let name = TopicName(StrBytes::from_string(topic.name.to_string()));
        topic.name = TopicName::default();
        let stream = if reply.version >= 13 {
            caller
                .broker
                .topic_by_id(topic.topic_id)
                .ok_or(ResponseError::UnknownTopicId)
        } else {
            caller
                .broker
                .log
                .stream(&name)
                .ok_or(ResponseError::UnknownTopicOrPartition)
        };
        let mut partitions: Vec<Sent> = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let submitted = match (&refused, &stream) {
                (Some((code, why)), _) => Err(refusal(*code, (*why).to_owned())),
                (None, Err(code)) => Err(refusal(*code, "there is no such topic: create it first".to_owned())),
                (None, Ok(stream)) => submit_partition(caller, stream, data, &writer).await,
            };
            partitions.push(Sent { index, submitted });
        }
        topics.push(SentTopic {
            name,
            topic_id: topic.topic_id,
            partitions,
        });
    }
    let broker = Arc::clone(&caller.broker);
    Pending::Later(Box::pin(async move {
        finish(&broker, topics, acks, throttle_ms, reply).await
    }))
}

/// The bytes of all batches of a request.
fn records_bytes(request: &ProduceRequest) -> usize {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions
        .filter_map(|data| data.records.as_ref().map(Bytes::len))
        .sum()
}

/// What concerns the request as a whole.
fn refuse_all(request: &ProduceRequest) -> Option<(ResponseError, &'static str)> {
    match request.acks {
        0 | 1 if request.transactional_id.is_some() => Some((
            ResponseError::InvalidRequiredAcks,
            "a transaction's batches are sent with acks=all",
        )),
        -1..=1 => None,
        _ => Some((ResponseError::InvalidRequiredAcks, "acks is none of 0, 1, all (-1)")),
    }
}

async fn submit_partition(
    caller: &Caller,
    stream: &StreamInfo,
    data: PartitionProduceData,
    writer: &Writer,
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
    let batch = take_batch(data, writer.request_bytes)?;
    let transaction = match (batch.is_transactional(), batch.producer(), &writer.transactional_id) {
        (false, _, _) => None,
        (true, Some(producer), Some(id)) => Some((id.as_str(), (producer.id, producer.epoch))),
        (true, ..) => {
            let why = "the batch is part of a transaction, and the request names no transactional.id".to_owned();
            return Err(refusal(ResponseError::TransactionalIdAuthorizationFailed, why));
        }
    };
    let batch = admit(&caller.broker, stream, batch).await?;
    let Asked { conditions, later } = asked(&caller.broker, stream, &batch).await?;
    let (condition, conditional) = conditions.split();
    let (events, bytes) = (batch.event_count(), batch.bytes().len());
    let stamped_ms = batch.is_append_time().then(|| batch.timestamp_ms_max());
    let append = Append {
        parts: vec![Part {
            stream: stream.name.clone(),
            partition,
            batch,
        }],
        principal: caller.principal.to_string(),
        condition,
    };
    let place = Place {
        stream: stream.name.clone(),
        stream_id: stream.id,
        partition,
    };
    let outcome = match (transaction, later) {
        (None, None) => caller.broker.log.submit(append).await,
        (None, Some(later)) => {
            later
                .append(&caller.broker.schedules, &caller.broker.log, append)
                .await?
        }
        (Some((id, who)), None) => in_transaction(caller, id, who, &place, writer.version, append).await?,
        (Some(_), Some(later)) => return Err(later.in_transaction()),
    };
    let log_start = caller
        .broker
        .log
        .offsets(&stream.name, partition)
        .map_or(0, |offsets| offsets.start);
    Ok(Submitted {
        outcome,
        events,
        bytes,
        log_start,
        stamped_ms,
        conditional,
    })
}

/// What a batch's records ask for. The batches of a plain topic are not opened.
async fn asked(broker: &Inner, stream: &StreamInfo, batch: &Batch) -> Result<Asked, Refusal> {
    // Where the index of such a stream was switched off, what depends on it is refused by the log, and not passed over.
    let is_about_something = || {
        broker
            .catalog
            .stream(&stream.name)
            .is_some_and(|stream| stream.is_about_something())
    };
    if !stream.settings.is_indexed() && !is_about_something() {
        return Ok(Asked::default());
    }
    let now_us = broker.log.now_us();
    let (catalog, name, batch) = (broker.catalog.clone(), stream.name.clone(), batch.clone());
    let is_large = batch.compression() != Compression::None && batch.bytes().len() > BATCH_CHECK_INLINE_BYTES;
    let read = move || {
        let facets = || ColumnFacets::of(catalog.stream(&name)?.as_ref(), catalog.schemas());
        Asked::of(&batch, &name, now_us, facets, &|named| catalog.streams_named(named))
    };
    match is_large {
        false => read(),
        true => on_a_thread(broker, read).await,
    }
}

/// Looks into a large batch away from the runtime's threads.
async fn on_a_thread<T: Send + 'static>(
    broker: &Inner,
    look: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let _permit = broker.batch_checks.acquire().await;
    match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(_) => Err(refusal(
            ResponseError::UnknownServerError,
            "the program is stopping".to_owned(),
        )),
    }
}

/// Hands a batch to the log if the transaction of its producer is open and has the partition, or may take it in.
async fn in_transaction(
    caller: &Caller,
    id: &str,
    who: Identity,
    place: &Place,
    version: i16,
    append: Append,
) -> Result<AppendOutcome, Refusal> {
    let transactions = &caller.broker.transactions;
    let written = transactions
        .write(id, who, place, version >= VERSION_ADDS, append)
        .await;
    written.map_err(|code| {
        let code = match code {
            ResponseError::InvalidTxnState if version >= VERSION_ABORTABLE => ResponseError::TransactionAbortable,
            ResponseError::TransactionAbortable if version < VERSION_ABORTABLE => ResponseError::InvalidTxnState,
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            code => code,
        };
        let why = match code {
            ResponseError::OutOfOrderSequenceNumber => {
                format!("a batch of '{id}' before this one was not taken: send that one first")
            }
            _ => format!("the batch is no part of an open transaction of '{id}'"),
        };
        refusal(code, why)
    })
}

/// Exactly one whole batch, of a kind that a client may write.
fn take_batch(data: PartitionProduceData, request_bytes: usize) -> Result<Batch, Refusal> {
    let invalid = |why: &str| refusal(ResponseError::InvalidRecord, why.to_owned());
    let mut records = data.records.unwrap_or_default();
    if records.is_empty() {
        return Err(invalid("there is no batch for this partition"));
    }
    let batch = Batch::take(&mut records)?;
    if !records.is_empty() {
        return Err(invalid(
            "there is more than one batch for this partition: send one a request",
        ));
    }
    if batch.is_control() {
        return Err(invalid("only the broker writes the markers of transactions"));
    }
    if batch.is_append_time() {
        let why = "the batch says its timestamps are append times: only the broker may".to_owned();
        return Err(refusal(ResponseError::InvalidTimestamp, why));
    }
    // What stays in memory must not hold a request that is far larger.
    match batch.bytes().len() < request_bytes / 2 {
        true => Ok(batch.detached()),
        false => Ok(batch),
    }
}

/// Makes of a batch what the stream's settings say. A large compressed batch that has to be expanded for that is on another thread.
async fn admit(broker: &Inner, stream: &StreamInfo, batch: Batch) -> Result<Batch, Refusal> {
    let rules = Rules::of(&stream.settings);
    let now_ms = broker.log.now_us() / 1_000;
    if !rules.expands(&batch, now_ms) || batch.bytes().len() <= BATCH_CHECK_INLINE_BYTES {
        return rules.admit(batch, now_ms);
    }
    on_a_thread(broker, move || rules.admit(batch, now_ms)).await
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
async fn land(broker: &Inner, submitted: Submitted) -> Result<Landed, Refusal> {
    match submitted.outcome.await {
        Ok(Ok(appended)) => {
            if !appended.duplicate {
                count(&broker.counters.events_in, u64::from(submitted.events));
                count(&broker.counters.bytes_in, submitted.bytes as u64);
            }
            // A retry's moment is that of the first try.
            let stamped_ms = submitted.stamped_ms.map(|stamped_ms| match appended.duplicate {
                true => appended.appended_at_us / 1_000,
                false => stamped_ms,
            });
            Ok(Landed {
                base_offset: appended.base_offsets.first().copied().unwrap_or_default(),
                log_start: submitted.log_start,
                stamped_ms,
            })
        }
        Ok(Err(error)) => {
            Err(conditions::refusal(&error, &submitted.conditional).unwrap_or_else(|| append_refusal(&error)))
        }
        Err(_) => Err(refusal(
            ResponseError::KafkaStorageError,
            "the log was closed".to_owned(),
        )),
    }
}

fn respond(index: i32, landed: Result<Landed, Refusal>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match landed {
        Ok(landed) => response
            .with_base_offset(landed.base_offset as i64)
            .with_log_start_offset(landed.log_start as i64)
            .with_log_append_time_ms(landed.stamped_ms.unwrap_or(-1)),
        Err(refusal) => {
            let event = |(index, why): (i32, String)| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(index)
                    .with_batch_index_error_message(Some(StrBytes::from_string(why)))
            };
            response
                .with_error_code(refusal.code.code())
                .with_base_offset(-1)
                .with_log_start_offset(-1)
                .with_log_append_time_ms(-1)
                .with_record_errors(refusal.events.into_iter().map(event).collect())
                .with_error_message(Some(StrBytes::from_string(refusal.message)))
        }
    }
}

fn refusal(code: ResponseError, message: String) -> Refusal {
    Refusal::new(code, message)
}

fn append_refusal(error: &AppendError) -> Refusal {
    let code = match error {
        AppendError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
        AppendError::Keyless { .. } => ResponseError::InvalidRecord,
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::OutOfSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        // Every client aborts on this one and takes a new epoch; librdkafka takes a gap for fatal.
        AppendError::UsedSequence { .. } => ResponseError::UnknownProducerId,
        AppendError::Fenced { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::Full { .. } | AppendError::Stopped { .. } => ResponseError::KafkaStorageError,
        AppendError::OutsideTransaction { .. } => ResponseError::InvalidTxnState,
        AppendError::TransactionsOpen { .. } => ResponseError::TransactionAbortable,
        // Only what is promised for later conflicts, with what happens to a schedule of the same name in the same moment.
        AppendError::Conflict { .. } => return later::changed_just_now(),
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
            let batch = take_batch(data, 0);
            batch.is_ok_and(|batch| batch.check_events().is_ok())
        })
}

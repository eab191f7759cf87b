//! One look at every partition that a fetch asks for: its offsets, and what of its events is to be sent.

use std::sync::Arc;

use headwater_eventlog::{Aborted, ReadError, StreamInfo, Stretch};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset, PartitionData};
use kafka_protocol::messages::{BrokerId, ProducerId};

use crate::broker::Inner;
use crate::leader_epoch::{LEADER_EPOCH, check_leader_epoch};
use crate::limits::FETCH_RECENT_EVENTS;
use crate::sessions::{Plan, TopicKey, Wanted};

/// The streams of a plan's topics, or why there is none.
pub(super) type Names = Vec<Result<StreamInfo, ResponseError>>;

/// What is looked at, within which limits.
pub(super) struct Asked {
    pub(super) broker: Arc<Inner>,
    pub(super) plan: Arc<Plan>,
    pub(super) names: Arc<Names>,
    /// Whether only what counts is asked for.
    pub(super) committed: bool,
    /// The bytes of events of all partitions together; `None`: only offsets.
    pub(super) bytes_max: Option<usize>,
}

/// What a look found.
#[derive(Default)]
pub(super) struct Look {
    /// What each partition answers, in the plan's order.
    pub(super) partitions: Vec<Answered>,
    /// The bytes of their events.
    pub(super) bytes: usize,
    /// Whether one of them failed.
    pub(super) failed: bool,
}

/// What one partition answers.
#[derive(Default)]
pub(super) struct Answered {
    /// Everything but the events.
    pub(super) data: PartitionData,
    pub(super) events: Option<Stretch>,
}

/// The stream that a topic's key stands for now.
pub(super) fn name_of(broker: &Inner, topic: &TopicKey) -> Result<StreamInfo, ResponseError> {
    let (found, missing) = match topic {
        TopicKey::Id(id) => (broker.topic_by_id(*id), ResponseError::UnknownTopicId),
        TopicKey::Name(name) => (broker.log.stream(name), ResponseError::UnknownTopicOrPartition),
    };
    found.ok_or(missing)
}

impl Answered {
    /// The bytes of the events.
    pub(super) fn bytes(&self) -> usize {
        self.events.as_ref().map_or(0, Stretch::bytes)
    }

    /// Whether it says an error, or an epoch that diverges.
    pub(super) fn failed(&self) -> bool {
        self.data.error_code != 0 || self.data.diverging_epoch.end_offset >= 0
    }
}

impl From<PartitionData> for Answered {
    fn from(data: PartitionData) -> Answered {
        Answered { data, events: None }
    }
}

impl Look {
    /// Looks at every partition once; from the first on whose index has to be read from the disk on a thread that may wait.
    pub(super) async fn at(asked: Asked) -> Result<Look, ResponseError> {
        let mut look = Look::default();
        if look.go_on(&asked, false) {
            return Ok(look);
        }
        let looking = tokio::task::spawn_blocking(move || {
            look.go_on(&asked, true);
            look
        });
        looking.await.map_err(|_| ResponseError::UnknownServerError)
    }

    /// Looks at the partitions that are left; `false` at one that may have to be waited for, where nobody does.
    fn go_on(&mut self, asked: &Asked, waits: bool) -> bool {
        for want in &asked.plan.wanted[self.partitions.len()..] {
            // The first batch is sent whatever its size, so that a reader always gets on; after it the limits hold.
            let left = asked.bytes_max.map(|bytes_max| bytes_max.saturating_sub(self.bytes));
            let limit = left.filter(|left| self.bytes == 0 || *left > 0).map(|left| {
                let partition_max = want.bytes_max.max(0) as usize;
                (partition_max.min(left), self.bytes == 0)
            });
            let Some(answered) = look_at(asked, want, limit, waits) else {
                return false;
            };
            self.bytes += answered.bytes();
            self.failed |= answered.failed();
            self.partitions.push(answered);
        }
        true
    }
}

/// Looks at one partition within a limit; the flag says that one batch beyond it is allowed. `None`: it may have to be waited for.
fn look_at(asked: &Asked, want: &Wanted, limit: Option<(usize, bool)>, waits: bool) -> Option<Answered> {
    let log = &asked.broker.log;
    let stream = match asked.names.get(want.topic as usize) {
        Some(Ok(stream)) => stream.name.as_str(),
        Some(Err(code)) => return Some(refuse(want.partition, *code)),
        None => return Some(refuse(want.partition, ResponseError::UnknownTopicOrPartition)),
    };
    let partition = u32::try_from(want.partition).ok();
    let offsets = partition.and_then(|partition| log.offsets(stream, partition));
    let (Some(offsets), Some(partition)) = (offsets, partition) else {
        return Some(refuse(want.partition, ResponseError::UnknownTopicOrPartition));
    };
    if let Err(code) = check_leader_epoch(want.leader_epoch) {
        return Some(refuse(want.partition, code));
    }
    let data = PartitionData::default()
        .with_partition_index(want.partition)
        .with_high_watermark(offsets.high_watermark as i64)
        .with_last_stable_offset(offsets.stable as i64)
        .with_log_start_offset(offsets.start as i64)
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(asked.committed.then(Vec::new));
    if want.last_fetched_epoch >= 0 && want.offset > offsets.high_watermark as i64 {
        // The reader has what was never here: it learns where the only epoch ends.
        let end = EpochEndOffset::default()
            .with_epoch(LEADER_EPOCH)
            .with_end_offset(offsets.high_watermark as i64);
        return Some(data.with_diverging_epoch(end).into());
    }
    let offset = match u64::try_from(want.offset) {
        Ok(offset) if (offsets.start..=offsets.high_watermark).contains(&offset) => offset,
        // An offset below the end but above the high watermark was never given to a reader.
        _ => return Some(data.with_error_code(ResponseError::OffsetOutOfRange.code()).into()),
    };
    let end = match asked.committed {
        true => offsets.stable,
        false => offsets.high_watermark,
    };
    let Some((bytes_max, beyond)) = limit.filter(|_| offset < end) else {
        return Some(data.into());
    };
    if !waits && offsets.high_watermark - offset > FETCH_RECENT_EVENTS {
        return None;
    }
    let found = log.stretch(stream, partition, offset, end, bytes_max);
    let found = found.and_then(|events| match events.bytes() <= bytes_max || beyond {
        true => {
            let aborted = asked
                .committed
                .then(|| log.aborted(stream, partition, offset, events.next_offset()));
            Ok((Some(events), aborted.transpose()?))
        }
        // One batch larger than the limit.
        false => Ok((None, asked.committed.then(Vec::new))),
    });
    Some(match found {
        Ok((events, aborted)) => Answered {
            data: data.with_aborted_transactions(aborted.map(|aborted| listed(&aborted))),
            events,
        },
        Err(error) => {
            // Damage the log says itself, and not for every fetch.
            if !matches!(error, ReadError::OutOfRange { .. } | ReadError::Damaged { .. }) {
                tracing::error!("a fetch failed: {error}");
            }
            data.with_error_code(read_refusal(&error).code()).into()
        }
    })
}

fn listed(aborted: &[Aborted]) -> Vec<AbortedTransaction> {
    let one = |range: &Aborted| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(range.producer_id))
            .with_first_offset(range.first as i64)
    };
    aborted.iter().map(one).collect()
}

fn refuse(index: i32, code: ResponseError) -> Answered {
    let data = PartitionData::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(None);
    data.into()
}

fn read_refusal(error: &ReadError) -> ResponseError {
    match error {
        ReadError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
        ReadError::OutOfRange { .. } | ReadError::Expired { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Damaged { .. } | ReadError::Disk { .. } | ReadError::Short { .. } => {
            ResponseError::KafkaStorageError
        }
    }
}

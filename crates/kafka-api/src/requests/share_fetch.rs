//! ShareFetch (KIP-932): takes a member's verdicts on what it was given, and gives it more. Since version 2 a member may hold on to what it has
//! (KIP-1222), and say that it wants no more events than it asked for (KIP-1206).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_fetch_request::AcknowledgementBatch;
use kafka_protocol::messages::share_fetch_response::{
    AcquiredRecords, LeaderIdAndEpoch, PartitionData, ShareFetchableTopicResponse,
};
use kafka_protocol::messages::{ShareFetchRequest, ShareFetchResponse};
use uuid::Uuid;

use super::ahead;
use crate::caller::Caller;
use crate::leader_epoch::LEADER_EPOCH;
use crate::limits::{FETCH_BYTES_MAX, FETCH_WAIT_MAX, SHARE_VERDICTS_MAX};
use crate::metrics::count;
use crate::shares::{Acquired, FIRST, Fetched, LAST, Limit, Owner, Place, Target, Terms, Verdict, Verdicts, Wanted};

pub(super) type Request = ShareFetchRequest;

/// The later fields of the request.
const ACQUIRE_MODE: i32 = 8;
const IS_RENEWAL: i32 = 9;

/// The mode in which no more events are given than are asked for.
const RECORD_LIMIT: u8 = 1;

/// What is answered for one partition.
type Answers = BTreeMap<Place, PartitionData>;

pub(super) async fn answer(caller: &Caller, request: Request, _version: i16) -> ShareFetchResponse {
    let group_id = request.group_id.as_deref().map(|id| id.as_str());
    let terms = caller.broker.shares.terms(group_id.unwrap_or_default());
    match fetch(caller, request, terms).await {
        Ok(answers) => ShareFetchResponse::default()
            .with_acquisition_lock_timeout_ms(terms.rules.lock_ms as i32)
            .with_responses(by_topic(answers)),
        Err(code) => ShareFetchResponse::default().with_error_code(code.code()),
    }
}

async fn fetch(caller: &Caller, request: Request, terms: Terms) -> Result<Answers, ResponseError> {
    let broker = &caller.broker;
    let owner = owner(
        request.group_id.as_deref().map(|id| id.as_str()),
        request.member_id.as_deref(),
    )?;
    let is_renewal = is_set(&request.unknown_tagged_fields, IS_RENEWAL, 1);
    if is_renewal && asks_for_events(&request) {
        return Err(ResponseError::InvalidRequest);
    }
    let epoch = request.share_session_epoch;
    let mut verdicts: Vec<(Place, Result<Vec<Verdicts>, ResponseError>)> = Vec::new();
    let mut named: Vec<Place> = Vec::new();
    for topic in request.topics {
        for partition in topic.partitions {
            let place = place(topic.topic_id, partition.partition_index)?;
            named.push(place);
            if !partition.acknowledgement_batches.is_empty() {
                verdicts.push((place, read_verdicts(partition.acknowledgement_batches, is_renewal)));
            }
        }
    }
    let mut forgotten: Vec<Place> = Vec::new();
    for topic in request.forgotten_topics_data {
        for index in topic.partitions {
            forgotten.push(place(topic.topic_id, index)?);
        }
    }
    if epoch == FIRST && !verdicts.is_empty() {
        // Nothing was given to a session that only begins.
        return Err(ResponseError::InvalidRequest);
    }
    // Who goes on with a session that it has not is told of that.
    if epoch == FIRST || broker.shares.has_session(&owner) {
        broker.groups.check_share(&owner.0)?;
    }
    let places = match epoch {
        LAST => broker.shares.step(&owner, LAST).map(|()| Vec::new())?,
        epoch => broker
            .shares
            .open_fetch(&owner, caller.connection, epoch, named, &forgotten)?,
    };
    let mut answers = Answers::new();
    for (place, verdicts) in verdicts {
        let taken = match verdicts {
            Ok(verdicts) => {
                let taken = broker.shares.acknowledge(&owner, place, &verdicts);
                taken.await
            }
            Err(code) => Err(code),
        };
        let answer = answers.entry(place).or_insert_with(|| empty(caller, place));
        answer.acknowledge_error_code = taken.map_or_else(|code| code.code(), |()| 0);
    }
    if epoch == LAST {
        broker.shares.end(&owner);
        return Ok(answers);
    }
    // Whoever holds on to events has enough, and whoever has no room for any gets none.
    if is_renewal || request.max_bytes == 0 || request.max_records == 0 {
        return Ok(answers);
    }
    let wanted = Wanted {
        limit: Limit {
            events: request.max_records.max(1).unsigned_abs().into(),
            is_strict: is_set(&request.unknown_tagged_fields, ACQUIRE_MODE, RECORD_LIMIT),
        },
        bytes_max: (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX),
        // What was said is answered at once.
        wait: match answers.is_empty() {
            true => Duration::from_millis(request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MAX),
            false => Duration::ZERO,
        },
        terms,
    };
    let target = |place: Place| Target {
        place,
        stream: broker.topic_by_id(Uuid::from_u128(place.0)).map(|info| info.name),
    };
    let targets: Vec<Target> = places.into_iter().map(target).collect();
    // Who wants no more events than it asked for is told of them in one piece.
    let piece = match wanted.limit.is_strict {
        true => u64::MAX,
        false => request.batch_size.max(1).unsigned_abs().into(),
    };
    for fetched in broker.shares.fetch(&owner, &targets, &wanted).await {
        let place = fetched.place;
        let answer = answers.entry(place).or_insert_with(|| empty(caller, place));
        give(caller, answer, fetched, piece);
    }
    Ok(answers)
}

fn give(caller: &Caller, answer: &mut PartitionData, fetched: Fetched, piece: u64) {
    match fetched.given {
        Ok(given) => {
            let mut records = BytesMut::new();
            for stored in &given.batches {
                records.extend_from_slice(stored.batch.bytes());
            }
            count(&caller.broker.counters.bytes_out, records.len() as u64);
            answer.records = Some(records.freeze());
            let acquired = in_pieces(&given.acquired, piece).into_iter().map(|acquired| {
                AcquiredRecords::default()
                    .with_first_offset(acquired.first.cast_signed())
                    .with_last_offset(acquired.last.cast_signed())
                    .with_delivery_count(acquired.count.cast_signed())
            });
            answer.acquired_records = acquired.collect();
        }
        Err(code) => answer.error_code = code.code(),
    }
}

/// Neighbours that were given equally often as one, until there are as many events in it as a member wants to be told of at once.
fn in_pieces(acquired: &[Acquired], piece: u64) -> Vec<Acquired> {
    let mut pieces: Vec<Acquired> = Vec::new();
    for run in acquired {
        match pieces.last_mut() {
            Some(last) if last.last + 1 == run.first && last.count == run.count && run.first - last.first < piece => {
                last.last = run.last;
            }
            _ => pieces.push(*run),
        }
    }
    pieces
}

/// Who asks: both must be named.
pub(super) fn owner(group_id: Option<&str>, member_id: Option<&str>) -> Result<Owner, ResponseError> {
    match (group_id, member_id) {
        (Some(group_id), Some(member_id)) if !group_id.is_empty() && !member_id.is_empty() => {
            Ok((group_id.to_owned(), member_id.to_owned()))
        }
        _ => Err(ResponseError::InvalidRequest),
    }
}

pub(super) fn place(topic_id: Uuid, index: i32) -> Result<Place, ResponseError> {
    let partition = u32::try_from(index).map_err(|_| ResponseError::InvalidRequest)?;
    Ok((topic_id.as_u128(), partition))
}

/// Whether a later field of one byte has a value.
pub(super) fn is_set(tagged: &BTreeMap<i32, Bytes>, field: i32, value: u8) -> bool {
    ahead::later(tagged, field).is_some_and(|bytes| bytes.as_ref() == [value])
}

/// Whether a request is for more than what its member has.
fn asks_for_events(request: &Request) -> bool {
    let amounts = [
        request.max_wait_ms,
        request.min_bytes,
        request.max_bytes,
        request.max_records,
    ];
    amounts != [0; 4]
}

fn read_verdicts(batches: Vec<AcknowledgementBatch>, is_renewal: bool) -> Result<Vec<Verdicts>, ResponseError> {
    let batches = batches.into_iter();
    let batches = batches.map(|batch| (batch.first_offset, batch.last_offset, batch.acknowledge_types));
    collect_verdicts(batches, is_renewal)
}

/// The verdicts on runs of offsets, which must follow one another. `is_renewal`: some may be held on to.
pub(super) fn collect_verdicts(
    batches: impl Iterator<Item = (i64, i64, Vec<i8>)>,
    is_renewal: bool,
) -> Result<Vec<Verdicts>, ResponseError> {
    let mut read: Vec<Verdicts> = Vec::new();
    let mut next: u64 = 0;
    let mut total: usize = 0;
    for (first, last, types) in batches {
        let (Ok(first), Ok(last)) = (u64::try_from(first), u64::try_from(last)) else {
            return Err(ResponseError::InvalidRequest);
        };
        total += types.len();
        if first < next || last < first || types.is_empty() || total > SHARE_VERDICTS_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        next = last.saturating_add(1);
        let verdicts = types.into_iter().map(|code| verdict(code, is_renewal));
        let verdicts: Vec<Verdict> = verdicts.collect::<Result<_, ResponseError>>()?;
        read.push(Verdicts { first, last, verdicts });
    }
    Ok(read)
}

fn verdict(code: i8, is_renewal: bool) -> Result<Verdict, ResponseError> {
    match code {
        0 => Ok(Verdict::Gap),
        1 => Ok(Verdict::Accept),
        2 => Ok(Verdict::Release),
        3 => Ok(Verdict::Reject),
        4 if is_renewal => Ok(Verdict::Renew),
        _ => Err(ResponseError::InvalidRequest),
    }
}

fn empty(caller: &Caller, place: Place) -> PartitionData {
    let leader = LeaderIdAndEpoch::default()
        .with_leader_id(caller.broker.node_id().0)
        .with_leader_epoch(LEADER_EPOCH);
    PartitionData::default()
        .with_partition_index(place.1.cast_signed())
        .with_current_leader(leader)
        .with_records(Some(Bytes::new()))
}

fn by_topic(answers: Answers) -> Vec<ShareFetchableTopicResponse> {
    let ids: BTreeSet<u128> = answers.keys().map(|(id, _)| *id).collect();
    let mut topics: BTreeMap<u128, ShareFetchableTopicResponse> = BTreeMap::new();
    for id in ids {
        topics.insert(
            id,
            ShareFetchableTopicResponse::default().with_topic_id(Uuid::from_u128(id)),
        );
    }
    for ((id, _), data) in answers {
        if let Some(topic) = topics.get_mut(&id) {
            topic.partitions.push(data);
        }
    }
    topics.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_of_together_up_to_a_piece() {
        let check = |runs: &[(u64, u64, u16)], piece: u64, expected: &[(u64, u64, u16)]| {
            let runs = runs.iter().map(|(first, last, count)| Acquired {
                first: *first,
                last: *last,
                count: *count,
            });
            let pieces = in_pieces(&runs.collect::<Vec<_>>(), piece);
            let pieces: Vec<_> = pieces.iter().map(|run| (run.first, run.last, run.count)).collect();
            assert_eq!(pieces, expected, "{piece}");
        };
        let singles: Vec<(u64, u64, u16)> = (0..5).map(|offset| (offset, offset, 1)).collect();
        check(&singles, 100, &[(0, 4, 1)]);
        check(&singles, 5, &[(0, 4, 1)]);
        check(&singles, 2, &[(0, 1, 1), (2, 3, 1), (4, 4, 1)]);
        check(&singles, 1, &singles);
        // A batch is in one piece.
        check(&[(0, 9, 1), (10, 11, 1)], 3, &[(0, 9, 1), (10, 11, 1)]);
        check(&[(0, 1, 1), (2, 11, 1)], 3, &[(0, 11, 1)]);
        check(
            &[(0, 1, 2), (2, 3, 1), (5, 6, 1)],
            100,
            &[(0, 1, 2), (2, 3, 1), (5, 6, 1)],
        );
        check(&[], 1, &[]);
    }

    #[test]
    fn verdicts_must_follow_one_another_and_be_known() {
        let check = |batches: &[(i64, i64, &[i8])], expected: Result<usize, ResponseError>| {
            let batches = batches.iter();
            let batches = batches.map(|(first, last, types)| (*first, *last, types.to_vec()));
            let read = collect_verdicts(batches.clone(), false);
            assert_eq!(read.map(|read| read.len()), expected);
            // What is a verdict otherwise is one beside a renewal too.
            let read = collect_verdicts(batches, true);
            assert!(expected.is_err() || read.is_ok());
        };
        let invalid = Err(ResponseError::InvalidRequest);
        check(&[], Ok(0));
        check(&[(0, 0, &[1]), (1, 5, &[2]), (7, 8, &[0, 3])], Ok(3));
        check(&[(0, 5, &[1]), (5, 6, &[1])], invalid);
        check(&[(3, 2, &[1])], invalid);
        check(&[(-1, 2, &[1])], invalid);
        check(&[(0, 2, &[])], invalid);
        check(&[(0, 2, &[4])], invalid);
        check(&[(0, 2, &[1, 4, 1])], invalid);
        let renewed = collect_verdicts([(0, 1, vec![4, 1]), (5, 6, vec![4])].into_iter(), true);
        assert_eq!(renewed.map(|read| read.len()), Ok(2));
        assert_eq!(
            collect_verdicts([(0, 0, vec![5])].into_iter(), true),
            invalid.map(|_: usize| Vec::new())
        );
        check(&[(0, 2, &[-1])], invalid);
        check(&[(0, i64::MAX, &[1])], Ok(1));
        check(&[(0, 1, &vec![1; SHARE_VERDICTS_MAX])], Ok(1));
        check(&[(0, 1, &vec![1; SHARE_VERDICTS_MAX]), (2, 2, &[1])], invalid);
    }
}

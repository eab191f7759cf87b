//! How the state of a transactional id stands in the stream of transactions: whole in every event, the last one for an id counts.
//!
//! ```text
//! key    {"id":"orders-1"}
//! value  {"producer_id":4,"epoch":7,"timeout_ms":60000,"state":"open","began_ms":1764090000000,"updated_ms":1764090000123,
//!         "streams":[{"stream":"transactions","stream_id":"8a3…","partitions":[0,2]}],"groups":["billing"],
//!         "offsets":[{"group":"billing","stream":"orders","stream_id":"77b…","partition":0,"offset":42,"leader_epoch":-1,"metadata":""}]}
//! ```
//!
//! No value: the id was forgotten.

use std::collections::BTreeSet;

use bytes::Bytes;
use headwater_records::{Batch, Compression, Event};
use serde::de::Error;
use serde::{Deserialize, Serialize};

use super::transaction::{Open, Phase, Transaction};
use crate::groups::Commit;

#[derive(Serialize, Deserialize)]
struct Key {
    id: String,
}

#[derive(Serialize, Deserialize)]
struct Value {
    producer_id: i64,
    epoch: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<(i64, i16)>,
    timeout_ms: i32,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began_ms: Option<i64>,
    updated_ms: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streams: Vec<Stream>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    groups: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offsets: Vec<Offset>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum State {
    Empty,
    Open,
    Committed,
    Aborted,
}

#[derive(Serialize, Deserialize)]
struct Stream {
    stream: String,
    stream_id: String,
    partitions: BTreeSet<u32>,
}

#[derive(Serialize, Deserialize)]
struct Offset {
    group: String,
    stream: String,
    stream_id: String,
    partition: u32,
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
}

/// A batch of one event: what is known of the id now; `None`: nothing any more.
pub(super) fn encode(id: &str, state: Option<&Transaction>, now_ms: i64) -> Result<Batch, serde_json::Error> {
    let event = Event {
        key: Some(Bytes::from(serde_json::to_vec(&Key { id: id.to_owned() })?)),
        value: match state {
            Some(state) => Some(Bytes::from(serde_json::to_vec(&value_of(state))?)),
            None => None,
        },
        headers: Vec::new(),
        timestamp_ms: now_ms,
    };
    Ok(Batch::encode(&[event], Compression::None, None))
}

/// The id of an event, and what was known of it then.
pub(super) fn decode(event: &Event) -> Result<(String, Option<Transaction>), serde_json::Error> {
    let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
    let Some(value) = &event.value else {
        return Ok((key.id, None));
    };
    let value: Value = serde_json::from_slice(value)?;
    Ok((key.id, Some(state_of(value)?)))
}

fn value_of(transaction: &Transaction) -> Value {
    let open = transaction.open().cloned().unwrap_or_default();
    let stream = |(stream, (id, partitions)): (String, (u128, BTreeSet<u32>))| Stream {
        stream,
        stream_id: hexadecimal(id),
        partitions,
    };
    let offset = |(group, commit): (String, Commit)| Offset {
        group,
        stream: commit.stream,
        stream_id: hexadecimal(commit.stream_id),
        partition: commit.partition,
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata,
        expires_ms: commit.expires_ms,
    };
    Value {
        producer_id: transaction.producer_id,
        epoch: transaction.epoch,
        previous: transaction.previous,
        timeout_ms: transaction.timeout_ms,
        state: match transaction.phase {
            Phase::Empty => State::Empty,
            Phase::Open(_) => State::Open,
            Phase::Committed => State::Committed,
            Phase::Aborted => State::Aborted,
        },
        began_ms: transaction.open().map(|open| open.began_ms),
        updated_ms: transaction.updated_ms,
        streams: open.streams.into_iter().map(stream).collect(),
        groups: open.groups,
        offsets: open.offsets.into_iter().map(offset).collect(),
    }
}

fn state_of(value: Value) -> Result<Transaction, serde_json::Error> {
    let phase = match value.state {
        State::Empty => Phase::Empty,
        State::Committed => Phase::Committed,
        State::Aborted => Phase::Aborted,
        State::Open => {
            let mut open = Open {
                began_ms: value.began_ms.unwrap_or(value.updated_ms),
                groups: value.groups,
                ..Open::default()
            };
            for stream in value.streams {
                let id = number(&stream.stream_id)?;
                open.streams.insert(stream.stream, (id, stream.partitions));
            }
            for offset in value.offsets {
                let commit = Commit {
                    stream: offset.stream,
                    stream_id: number(&offset.stream_id)?,
                    partition: offset.partition,
                    offset: offset.offset,
                    leader_epoch: offset.leader_epoch,
                    metadata: offset.metadata,
                    expires_ms: offset.expires_ms,
                };
                open.offsets.push((offset.group, commit));
            }
            Phase::Open(open)
        }
    };
    Ok(Transaction {
        producer_id: value.producer_id,
        epoch: value.epoch,
        previous: value.previous,
        timeout_ms: value.timeout_ms,
        phase,
        updated_ms: value.updated_ms,
    })
}

fn hexadecimal(id: u128) -> String {
    format!("{id:032x}")
}

fn number(hexadecimal: &str) -> Result<u128, serde_json::Error> {
    u128::from_str_radix(hexadecimal, 16).map_err(|_| Error::custom(format!("'{hexadecimal}' is no stream's id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: Option<Transaction>) {
        let batch = encode("orders-1", state.as_ref(), 5).unwrap();
        let (_, event) = batch.events().unwrap().remove(0);
        assert_eq!(decode(&event).unwrap(), ("orders-1".to_owned(), state));
    }

    #[test]
    fn every_state_comes_back() {
        let commit = Commit {
            stream: "orders".to_owned(),
            stream_id: 7 << 100,
            partition: 3,
            offset: 42,
            leader_epoch: -1,
            metadata: "m\"".to_owned(),
            expires_ms: None,
        };
        let open = Open {
            began_ms: 3,
            streams: [("s".to_owned(), (1 << 90, BTreeSet::from([0, 2])))].into(),
            groups: BTreeSet::from(["g".to_owned()]),
            offsets: vec![("g".to_owned(), commit)],
        };
        for phase in [Phase::Empty, Phase::Open(open), Phase::Committed, Phase::Aborted] {
            check(Some(Transaction {
                producer_id: 4,
                epoch: 7,
                previous: Some((4, 6)),
                timeout_ms: 60_000,
                phase,
                updated_ms: 9,
            }));
        }
        check(None);
    }
}

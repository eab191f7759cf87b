//! What is written here is what the library that decodes it would write, in every version.

use bytes::Bytes;
use headwater_eventlog::{Append, EventLog, LogOptions, Part, StreamSettings};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch,
};
use kafka_protocol::messages::{ApiKey, BrokerId, FetchResponse, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::*;

/// A log with one batch whose value has so many bytes in `s/0`.
fn log(folder: &std::path::Path, value_bytes: usize) -> EventLog {
    let (log, _) = EventLog::open(Host::real(), folder, LogOptions::default()).unwrap();
    log.create_stream("s", 1, StreamSettings::default()).unwrap();
    let event = Event {
        value: Some(Bytes::from(vec![b'x'; value_bytes])),
        ..Event::default()
    };
    let part = Part {
        stream: "s".to_owned(),
        partition: 0,
        batch: Batch::encode(&[event], Compression::None, None),
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    log.append_blocking(append).unwrap();
    log
}

fn data(diverges: bool, aborted: Option<usize>, version: i16) -> PartitionData {
    let mut data = PartitionData::default()
        .with_partition_index(3)
        .with_error_code(7)
        .with_high_watermark(1 << 40)
        .with_last_stable_offset(1 << 39)
        .with_log_start_offset(5)
        .with_preferred_read_replica(BrokerId(-1));
    let one = |number: usize| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(number as i64))
            .with_first_offset(number as i64 * 3)
    };
    data.aborted_transactions = aborted.map(|count| (0..count).map(one).collect());
    if diverges && version >= VERSION_FLEXIBLE {
        data.diverging_epoch = EpochEndOffset::default().with_epoch(0).with_end_offset(40);
    }
    assert_eq!(data.current_leader, LeaderIdAndEpoch::default());
    data
}

/// Two partitions without events, and one with those of `s/0`, in every version.
fn check(log: &EventLog, diverges: bool, aborted: Option<usize>) {
    for version in 4..=18 {
        let reply = Reply {
            api: ApiKey::Fetch,
            version,
            correlation_id: 99,
        };
        let events = || log.stretch("s", 0, 0, 1, 1 << 20).unwrap();
        let batch = log.read("s", 0, 0, 1 << 20).unwrap().remove(0).batch.bytes().clone();
        let (name, id) = ("events", Uuid::from_u128(1 << 100));
        let by_id = version >= VERSION_TOPIC_IDS;
        let empty = || Answered::from(data(diverges, aborted, version));
        let full = Answered {
            data: data(false, None, version),
            events: Some(events()),
        };
        let ours = Response {
            throttle_ms: 8,
            error_code: 3,
            session_id: if version >= VERSION_SESSIONS { 77 } else { 0 },
            topics: vec![Topic {
                key: match by_id {
                    true => TopicKey::Id(id),
                    false => TopicKey::Name(name.into()),
                },
                partitions: vec![empty(), full, empty()],
            }],
        };
        let mut topic = FetchableTopicResponse::default().with_partitions(vec![
            data(diverges, aborted, version).with_records(Some(Bytes::new())),
            data(false, None, version).with_records(Some(batch)),
            data(diverges, aborted, version).with_records(Some(Bytes::new())),
        ]);
        match by_id {
            true => topic.topic_id = id,
            false => topic.topic = TopicName(StrBytes::from_static_str(name)),
        }
        let library = FetchResponse::default()
            .with_throttle_time_ms(ours.throttle_ms)
            .with_error_code(ours.error_code)
            .with_session_id(ours.session_id)
            .with_responses(vec![topic]);
        let (ours, library) = (ours.frame(reply).unwrap(), reply.frame(&library).unwrap());
        assert_eq!(ours.bytes(), library.bytes());
        assert!(ours.whole() == library.whole(), "version {version}");
    }
}

#[test]
fn answers_are_what_the_library_writes() {
    // A batch that is copied into the frame, and one that is not.
    for value_bytes in [10, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), value_bytes);
        check(&log, false, None);
        check(&log, false, Some(0));
        check(&log, true, Some(2));
        check(&log, true, Some(200));
        log.close();
    }
}

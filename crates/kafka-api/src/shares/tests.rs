//! What members of a share group are given of a stream: which events count, and where a group begins.

use std::time::Duration;

use headwater_eventlog::{Append, LogOptions, Part, StreamSettings};
use headwater_host::Host;
use headwater_records::{Batch, Compression, Event, Marker, Producer};

use super::*;
use crate::ShareBegins;

const WRITER: Producer = Producer {
    id: 7,
    epoch: 0,
    base_sequence: 0,
};

fn event(timestamp_ms: i64) -> Event {
    Event {
        value: Some("x".into()),
        timestamp_ms,
        ..Event::default()
    }
}

fn transactional(base_sequence: i32) -> Batch {
    let writer = Producer {
        base_sequence,
        ..WRITER
    };
    Batch::encode_transactional(&[event(0)], Compression::None, writer)
}

fn marker(marker: Marker) -> Batch {
    Batch::encode_marker(marker, WRITER.id, WRITER.epoch, 0)
}

fn plain(timestamp_ms: i64) -> Batch {
    Batch::encode(&[event(timestamp_ms)], Compression::None, None)
}

async fn append(log: &EventLog, batch: Batch) {
    append_to(log, 0, batch).await;
}

async fn append_to(log: &EventLog, partition: u32, batch: Batch) {
    let part = Part {
        stream: "t".to_owned(),
        partition,
        batch,
    };
    let append = Append {
        parts: vec![part],
        principal: "ann".to_owned(),
        condition: None,
    };
    log.append(append).await.unwrap();
}

/// A log with the stream t, its id, and the deliveries over it.
async fn open(folder: &std::path::Path) -> (EventLog, u128, Shares) {
    let folder = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || {
        let (log, _) = EventLog::open(Host::real(), &folder, LogOptions::default()).unwrap();
        let id = log.create_stream("t", 1, StreamSettings::default()).unwrap().id;
        log.create_stream(SHARES_STREAM, 1, StreamSettings::default()).unwrap();
        let shares = Shares::open(log.clone(), &KafkaOptions::default(), Arc::default()).unwrap();
        (log, id, shares)
    });
    opening.await.unwrap()
}

/// The offsets that a group's member is given now; it takes them as done.
async fn given(shares: &Shares, id: u128, group: &str, begins: ShareBegins, committed: bool) -> Vec<(u64, u64)> {
    given_of(shares, (id, 0), group, begins, committed).await
}

async fn given_of(shares: &Shares, place: Place, group: &str, begins: ShareBegins, committed: bool) -> Vec<(u64, u64)> {
    let owner = (group.to_owned(), "member".to_owned());
    let target = Target {
        place,
        stream: Some("t".to_owned()),
    };
    let wanted = Wanted {
        limit: Limit {
            events: 100,
            is_strict: false,
        },
        bytes_max: 1 << 20,
        wait: Duration::ZERO,
        terms: Terms {
            begins,
            committed,
            ..shares.terms(group)
        },
    };
    let mut offsets: Vec<(u64, u64)> = Vec::new();
    for fetched in shares.fetch(&owner, &[target], &wanted).await {
        let given = fetched.given.unwrap();
        assert!(given.batches.iter().all(|stored| !stored.batch.is_control()));
        offsets.extend(given.acquired.iter().map(|acquired| (acquired.first, acquired.last)));
    }
    for (first, last) in &offsets {
        let verdicts = Verdicts {
            first: *first,
            last: *last,
            verdicts: vec![Verdict::Accept],
        };
        shares.acknowledge(&owner, place, &[verdicts]).await.unwrap();
    }
    offsets
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_topic_that_is_gone_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (log, id, shares) = open(folder.path()).await;
    append(&log, plain(0)).await;
    assert_eq!(given(&shares, id, "g", ShareBegins::Earliest, true).await, [(0, 0)]);
    tokio::task::spawn_blocking(move || log.drop_stream("t").unwrap())
        .await
        .unwrap();
    let owner = ("g".to_owned(), "member".to_owned());
    let taken = shares.acknowledge(&owner, (id, 0), &[]).await;
    assert_eq!(taken, Err(ResponseError::UnknownTopicId));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what_is_committed_is_given_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (log, id, shares) = open(folder.path()).await;
    for batch in [
        plain(0),
        transactional(0),
        marker(Marker::Aborted),
        transactional(1),
        plain(0),
    ] {
        append(&log, batch).await;
    }
    let earliest = ShareBegins::Earliest;
    assert_eq!(given(&shares, id, "committed", earliest, true).await, [(0, 0)]);
    assert_eq!(given(&shares, id, "committed", earliest, true).await, []);
    assert_eq!(
        given(&shares, id, "all", earliest, false).await,
        [(0, 0), (1, 1), (3, 3), (4, 4)]
    );
    append(&log, marker(Marker::Committed)).await;
    assert_eq!(given(&shares, id, "committed", earliest, true).await, [(3, 3), (4, 4)]);
    assert_eq!(given(&shares, id, "all", earliest, false).await, []);
    for group in ["committed", "all"] {
        let standing = Standing { start: 6, done: 0 };
        let standings = shares.standings(group);
        assert_eq!(
            standings.get(&(id, 0)),
            Some(&standing),
            "{group}: nothing is waited for"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_begins_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (log, id, shares) = open(folder.path()).await;
    let now_ms = log.now_us() / 1_000;
    let hour_ms = 3_600_000;
    for ago_ms in [10 * hour_ms, 5 * hour_ms, hour_ms] {
        append(&log, plain(now_ms - ago_ms)).await;
    }
    let cases = [
        ("a", ShareBegins::Earliest, 0),
        ("b", ShareBegins::Within(20 * 3_600_000), 0),
        ("c", ShareBegins::Within(6 * 3_600_000), 1),
        ("d", ShareBegins::Within(2 * 3_600_000), 2),
        ("e", ShareBegins::Within(0), 3),
        ("f", ShareBegins::Latest, 3),
        ("g", ShareBegins::Within(u64::MAX), 0),
    ];
    for (group, begins, first) in cases {
        let expected: Vec<(u64, u64)> = (first..3).map(|offset| (offset, offset)).collect();
        assert_eq!(given(&shares, id, group, begins, false).await, expected, "{group}");
    }
    // Where it began counts, not what is asked for later.
    append(&log, plain(now_ms)).await;
    for (group, ..) in cases {
        assert_eq!(
            given(&shares, id, group, ShareBegins::Latest, false).await,
            [(3, 3)],
            "{group}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_begins_in_all_partitions_at_once_and_reads_later_ones_from_their_start() {
    let folder = tempfile::tempdir().unwrap();
    let (log, id, shares) = open(folder.path()).await;
    let grow = async |partitions: u32| {
        let log = log.clone();
        let growing = tokio::task::spawn_blocking(move || log.add_partitions("t", partitions).unwrap());
        growing.await.unwrap();
    };
    grow(2).await;
    for partition in [0, 1] {
        append_to(&log, partition, plain(0)).await;
    }
    let latest = ShareBegins::Latest;
    assert_eq!(given_of(&shares, (id, 0), "read", latest, false).await, []);
    let stream = log.stream("t").unwrap();
    shares.set_start("told", &stream, 0, latest, 0).await.unwrap();
    grow(3).await;
    for partition in [1, 2] {
        append_to(&log, partition, plain(0)).await;
    }
    for group in ["read", "told"] {
        assert_eq!(
            given_of(&shares, (id, 1), group, latest, false).await,
            [(1, 1)],
            "{group}"
        );
        assert_eq!(
            given_of(&shares, (id, 2), group, latest, false).await,
            [(0, 0)],
            "{group}"
        );
    }
    assert_eq!(given_of(&shares, (id, 0), "told", latest, false).await, [(0, 0)]);
    assert_eq!(given_of(&shares, (id, 2), "new", latest, false).await, []);
}

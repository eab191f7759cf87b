//! What a topic's settings make of what is written to it, over a socket.

mod door;
mod produced;
mod raw;

use bytes::Bytes;
use door::Door;
use headwater_eventlog::{Cleanup, Packing, StreamSettings, Timestamps};
use headwater_kafka_api::KafkaOptions;
use headwater_records::{Batch, Compression, Event, Producer};
use produced::produce;
use raw::connect;
use tokio::net::TcpStream;

const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const INVALID_RECORD: i16 = 87;

fn batch(keys: &[Option<&'static str>], timestamp_ms: i64, producer: Option<Producer>) -> Batch {
    let event = |key: &Option<&'static str>| Event {
        key: key.map(|key| Bytes::from_static(key.as_bytes())),
        value: Some(Bytes::from(vec![b'x'; 100])),
        timestamp_ms,
        ..Event::default()
    };
    let events: Vec<Event> = keys.iter().map(event).collect();
    Batch::encode(&events, Compression::Gzip, producer)
}

async fn open(settings: StreamSettings) -> (tempfile::TempDir, Door, TcpStream) {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::open(folder.path(), KafkaOptions::default()).await;
    let log = door.log.clone();
    let created = tokio::task::spawn_blocking(move || log.create_stream("t", 1, settings)).await;
    created.unwrap().unwrap();
    let socket = connect(&door).await;
    (folder, door, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_names_each_record_without_a_key() {
    let settings = StreamSettings {
        cleanup: Some(Cleanup {
            delete: false,
            compact: true,
        }),
        ..StreamSettings::default()
    };
    let (_folder, door, mut socket) = open(settings).await;
    let told = produce(&mut socket, &batch(&[Some("a"), None, Some("b"), None], 1_000, None)).await;
    let indexes: Vec<i32> = told.events.iter().map(|(index, _)| *index).collect();
    assert_eq!((told.code, told.base_offset, indexes), (INVALID_RECORD, -1, vec![1, 3]));
    assert!(told.events[0].1.contains("no key") && told.message.unwrap().starts_with("2 of the batch's 4 events"));
    assert_eq!(door.log.offsets("t", 0).unwrap().end, 0);
    let told = produce(&mut socket, &batch(&[Some("a")], 1_000, None)).await;
    assert_eq!(
        (told.code, told.base_offset, told.stamped_ms, told.log_start),
        (0, 0, -1, 0)
    );
    drop(socket);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_appends_moment_takes_the_place_of_the_writers_where_the_topic_says_so() {
    let settings = StreamSettings {
        timestamps: Some(Timestamps::Append),
        compression: Some(Packing::Always(Compression::Zstd)),
        ..StreamSettings::default()
    };
    let (_folder, door, mut socket) = open(settings).await;
    let before_ms = door.log.now_us() / 1_000;
    let producer = Producer {
        id: door.log.new_producer_id().unwrap(),
        epoch: 0,
        base_sequence: 0,
    };
    let sent = batch(&[None, None], 1_000, Some(producer));
    let told = produce(&mut socket, &sent).await;
    let after_ms = door.log.now_us() / 1_000;
    assert!((before_ms..=after_ms).contains(&told.stamped_ms), "{told:?}");
    // A retry is answered as the first try.
    let again = produce(&mut socket, &sent).await;
    assert_eq!((again.code, again.base_offset), (0, 0));
    assert!((before_ms..=after_ms).contains(&again.stamped_ms), "{again:?}");
    let log = door.log.clone();
    let stored = tokio::task::spawn_blocking(move || log.read("t", 0, 0, 1 << 20))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.len(), 1);
    let kept = &stored[0].batch;
    assert_eq!(
        (kept.compression(), kept.is_append_time(), kept.producer()),
        (Compression::Zstd, true, Some(producer))
    );
    let events = kept.events().unwrap();
    assert!(events.iter().all(|(_, event)| event.timestamp_ms == told.stamped_ms));
    drop((socket, stored));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_and_sizes_beyond_the_topics_bounds_are_refused() {
    let settings = StreamSettings {
        batch_bytes_max: Some(200),
        ..StreamSettings::default()
    };
    let (_folder, door, mut socket) = open(settings).await;
    let now_ms = door.log.now_us() / 1_000;
    let hour_ms = 3_600_000;
    let told = produce(&mut socket, &batch(&[None], now_ms + hour_ms - 60_000, None)).await;
    assert_eq!((told.code, told.base_offset), (0, 0));
    let told = produce(&mut socket, &batch(&[None], now_ms + hour_ms + 60_000, None)).await;
    assert_eq!((told.code, told.events.len()), (INVALID_TIMESTAMP, 1));
    let event = Event {
        value: Some(Bytes::from(vec![b'x'; 100])),
        timestamp_ms: now_ms,
        ..Event::default()
    };
    let sized = |value_bytes: usize| {
        let value = Some(Bytes::from(vec![b'x'; value_bytes]));
        Batch::encode(&[Event { value, ..event.clone() }], Compression::None, None)
    };
    let overhead = sized(100).bytes().len() - 100;
    assert_eq!(produce(&mut socket, &sized(200 - overhead)).await.code, 0);
    assert_eq!(
        produce(&mut socket, &sized(201 - overhead)).await.code,
        MESSAGE_TOO_LARGE
    );
    drop(socket);
    door.close().await;
}

//! The log on the real disk: what was acknowledged is there after a restart, with or without a clean stop.

mod making;

use headwater_eventlog::{EventLog, LogOptions, ReadError, StreamError, StreamSettings};
use headwater_host::Host;
use making::{append, part, small, values};

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    for (clean, options) in [
        (true, LogOptions::default()),
        (false, LogOptions::default()),
        (true, small()),
        (false, small()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let open = || EventLog::open(Host::real(), dir.path(), options.clone()).unwrap();
        let (log, _) = open();
        log.create_stream("a", 2, StreamSettings::default()).unwrap();
        log.create_stream("b", 1, StreamSettings::default()).unwrap();
        assert!(matches!(
            log.create_stream("a", 2, StreamSettings::default()),
            Err(StreamError::Exists(_))
        ));
        let first = log
            .append_blocking(append(vec![
                part("a", 0, &["1", "2"]),
                part("b", 0, &["x"]),
                part("a", 0, &["3"]),
            ]))
            .unwrap();
        assert_eq!(first.base_offsets, [0, 0, 2]);
        let ids = log.new_producer_id().unwrap();
        assert_eq!(log.new_producer_id().unwrap(), ids + 1);
        if clean {
            log.close();
            assert!(log.append_blocking(append(vec![part("a", 0, &["4"])])).is_err());
        }
        drop(log);

        let (log, recovery) = open();
        assert_eq!(recovery.batches_replayed, if clean { 0 } else { 3 });
        assert!(recovery.damage.is_empty());
        assert_eq!(values(&log, "a", 0), ["1", "2", "3"]);
        assert_eq!(values(&log, "a", 1), Vec::<String>::new());
        assert_eq!(values(&log, "b", 0), ["x"]);
        assert!(log.new_producer_id().unwrap() > ids + 1);
        let more = log.append_blocking(append(vec![part("a", 0, &["4"])])).unwrap();
        assert_eq!(more.base_offsets, [3]);
        assert!(more.appended_at_us >= first.appended_at_us);
        assert_eq!(log.position("a").unwrap().to_string(), "a/0@4,1@0");
        assert_eq!(
            log.position_at("a", first.appended_at_us).unwrap().get("a", 0),
            if more.appended_at_us == first.appended_at_us {
                4
            } else {
                3
            }
        );
        assert_eq!(log.offset_for_timestamp("a", 0, 1_000).unwrap(), Some((0, 1_000)));
        assert_eq!(log.offset_for_timestamp("a", 0, 1_002).unwrap(), None);
        log.drop_stream("b").unwrap();
        assert!(matches!(log.add_partitions("a", 2), Err(StreamError::Invalid(_))));
        assert!(matches!(log.add_partitions("a", 10_001), Err(StreamError::Invalid(_))));
        assert!(matches!(log.add_partitions("b", 2), Err(StreamError::Unknown(_))));
        assert_eq!(log.add_partitions("a", 4).unwrap().partitions, 4);
        log.append_blocking(append(vec![part("a", 3, &["new"]), part("a", 0, &["5"])]))
            .unwrap();
        assert!(log.partition_bytes("a", 3).unwrap() > 61 && log.partition_bytes("a", 2) == Some(0));
        drop(log);

        let (log, _) = open();
        assert!(log.stream("b").is_none());
        assert!(matches!(log.read("b", 0, 0, 1), Err(ReadError::Unknown { .. })));
        assert_eq!(values(&log, "a", 0), ["1", "2", "3", "4", "5"]);
        assert_eq!(values(&log, "a", 3), ["new"]);
        assert_eq!(log.position("a").unwrap().to_string(), "a/0@5,1@0,2@0,3@1");
        let bytes: u64 = (0..4)
            .map(|partition| log.partition_bytes("a", partition).unwrap())
            .sum();
        log.close();
        drop(log);
        let (log, _) = open();
        assert_eq!(log.stream("a").unwrap().partitions, 4);
        let after: u64 = (0..4)
            .map(|partition| log.partition_bytes("a", partition).unwrap())
            .sum();
        assert_eq!(bytes, after);
    }
}

#[test]
fn settings_and_starts_are_there_after_a_restart() {
    for clean in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let open = || EventLog::open(Host::real(), dir.path(), small()).unwrap().0;
        let log = open();
        let settings = StreamSettings::of_pairs([("cleanup", "compact"), ("label.a", "b")]).unwrap();
        log.create_stream("a", 2, settings.clone()).unwrap();
        let values: Vec<String> = (0..100).map(|number| format!("{number:0200}")).collect();
        for value in &values {
            log.append_blocking(append(vec![part("a", 1, &[value])])).unwrap();
        }
        log.alter_stream("a", |settings| settings.set("retention_ms", Some("5000")))
            .unwrap();
        assert!(
            log.alter_stream("a", |settings| settings.set("segment_ms", Some("0")))
                .is_err()
        );
        assert_eq!(log.delete_records("a", 1, 60).unwrap(), 60);
        assert_eq!(log.delete_records("a", 1, 50).unwrap(), 60);
        assert!(matches!(
            log.delete_records("a", 1, 101),
            Err(StreamError::Beyond { .. })
        ));
        assert!(matches!(log.delete_records("a", 2, 0), Err(StreamError::Unknown(_))));
        let look = |log: &EventLog| {
            let mut expected = settings.clone();
            expected.set("retention_ms", Some("5000")).unwrap();
            assert_eq!(*log.stream("a").unwrap().settings, expected);
            let offsets = log.offsets("a", 1).unwrap();
            assert_eq!((offsets.start, offsets.high_watermark), (60, 100));
            assert!(matches!(
                log.read("a", 1, 59, 1),
                Err(ReadError::OutOfRange {
                    start: 60,
                    end: 100,
                    ..
                })
            ));
            assert_eq!(making::values_from(log, "a", 1, 60).unwrap(), values[60..]);
            assert_eq!(log.offset_for_timestamp("a", 1, 0).unwrap().unwrap().0, 60);
            assert!(matches!(log.position_at("a", 0), Err(ReadError::Expired { .. })));
        };
        look(&log);
        if clean {
            log.close();
        }
        drop(log);
        look(&open());
        assert_eq!(open().delete_records("a", 1, 100).unwrap(), 100);
        let log = open();
        assert_eq!(log.offsets("a", 1).unwrap().start, 100);
        let appended = log.append_blocking(append(vec![part("a", 1, &["more"])])).unwrap();
        assert_eq!(appended.base_offsets, [100]);
    }
}

#[test]
fn partitions_of_all_streams_on_both_sides_of_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = EventLog::open(Host::real(), dir.path(), LogOptions::default()).unwrap();
    let create = |name: &str, partitions: u32| log.create_stream(name, partitions, StreamSettings::default());
    for number in 0..19 {
        create(&format!("s{number}"), 10_000).unwrap();
    }
    create("last", 9_999).unwrap();
    assert!(matches!(create("more", 2), Err(StreamError::Invalid(why)) if why.contains("199999")));
    assert!(matches!(
        log.add_partitions("last", 10_001),
        Err(StreamError::Invalid(_))
    ));
    log.add_partitions("last", 10_000).unwrap();
    assert!(create("more", 1).is_err());
    log.drop_stream("s0").unwrap();
    create("more", 10_000).unwrap();
}

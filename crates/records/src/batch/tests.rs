//! Tests of the batch codec: golden bytes of another writer, every flipped bit, random bytes.

use proptest::prelude::*;

use super::header::MAGIC_AT;
use super::*;
use crate::Header;

const NONE: &str = "\
    0000000000000000000000c50000000002bf70abc80000000000020000018bcfe568000000018bcfe56805000000000000000700\
    010000000300000003fa010000000a4272616441d0017b22616d6f756e74223a203130302c20226e6f7465223a20226161616161\
    61616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161\
    6161616161616161616161616161616161616161227d020a74726163650401020c000a020101001a000604000278040261000261\
    01";
const GZIP: &str = "\
    00000000000000000000008e000000000294f9f6210001000000020000018bcfe568000000018bcfe56805ffffffffffffffffff\
    ffffffffff000000031f8b0800ca04056b02fffbc5c8c0c0c0e5549498e27881b15a293137bf34af44c94ac1d0c0404741292fbf\
    2415c8514aa42650aa65e22a294a4c4e656164e261e062626464906260636160aa60614a64604a64040090f089c394000000";
const SNAPPY: &str = "\
    00000000000000000000009800000000023ce13c060002000000020000018bcfe568000000018bcfe56805ffffffffffffffffff\
    ffffffffff0000000382534e41505059000000000100000001000000539401a0fa010000000a4272616441d0017b22616d6f756e\
    74223a203130302c20226e6f7465223a2022616161fe0200190280227d020a74726163650401020c000a020101001a0006040002\
    7804026100026101";
const LZ4: &str = "\
    000000000000000000000097000000000285530b400003000000020000018bcfe568000000018bcfe56805ffffffffffffffffff\
    ffffffffff0000000304224d1868409400000000000000f14f000000ff18fa010000000a4272616441d0017b22616d6f756e7422\
    3a203130302c20226e6f7465223a202261010039f012227d020a74726163650401020c000a020101001a00060400027804026100\
    02610100000000";
const ZSTD: &str = "\
    00000000000000000000008a0000000002acc7b2580004000000020000018bcfe568000000018bcfe56805ffffffffffffffffff\
    ffffffffff0000000328b52ffd20948502008404fa010000000a4272616441d0017b22616d6f756e74223a203130302c20226e6f\
    7465223a202261227d020a74726163650401020c000a020101001a0006040002780402610002610101004f143c01";

const CODES: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn take(bytes: Bytes) -> Result<Batch, BatchError> {
    Batch::take(&mut bytes.clone())
}

fn event(key: Option<&'static str>, value: Option<&'static str>, timestamp_ms: i64) -> Event {
    Event {
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: Vec::new(),
        timestamp_ms,
    }
}

/// The events of the golden batches.
fn golden_events() -> Vec<Event> {
    let value = "{\"amount\": 100, \"note\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    let header = |name: &str, value: Option<&'static [u8]>| Header {
        name: name.to_owned(),
        value: value.map(Bytes::from),
    };
    let mut events = vec![
        event(Some("BradA"), Some(value), 1_700_000_000_000),
        event(None, None, 1_700_000_000_005),
        event(Some(""), Some("x"), 1_700_000_000_003),
    ];
    events[0].headers = vec![header("trace", Some(b"\x01\x02"))];
    events[2].headers = vec![header("a", Some(b"")), header("a", None)];
    events
}

/// Sets a field and makes the CRC right again.
fn forge(batch: &Bytes, at: usize, field: &[u8]) -> Bytes {
    let mut forged = batch.to_vec();
    forged[at..at + field.len()].copy_from_slice(field);
    let crc = crc32c::crc32c(&forged[CRC_COVERS_FROM..]);
    forged[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(forged)
}

#[test]
fn batches_of_another_writer_are_read() {
    let goldens = [NONE, GZIP, SNAPPY, LZ4, ZSTD];
    for (golden, compression) in goldens.into_iter().zip(CODES) {
        let batch = take(bytes(golden)).unwrap().at(40);
        assert_eq!(batch.compression(), compression);
        assert_eq!(
            (batch.base_offset(), batch.next_offset(), batch.event_count()),
            (40, 43, 3)
        );
        assert_eq!(batch.timestamp_ms_base(), 1_700_000_000_000);
        assert_eq!(batch.timestamp_ms_max(), 1_700_000_000_005);
        assert!(!batch.is_control() && !batch.is_transactional() && !batch.is_append_time());
        let expected: Vec<(u64, Event)> = (40..).zip(golden_events()).collect();
        assert_eq!(batch.events(), Ok(expected), "{compression:?}");
        assert_eq!(batch.check_events(), Ok(()));
    }
    let producer = Producer {
        id: 7,
        epoch: 1,
        base_sequence: 3,
    };
    assert_eq!(take(bytes(NONE)).unwrap().producer(), Some(producer));
    assert_eq!(take(bytes(GZIP)).unwrap().producer(), None);
}

#[test]
fn what_is_written_equals_another_writers_bytes() {
    let producer = Producer {
        id: 7,
        epoch: 1,
        base_sequence: 3,
    };
    let written = Batch::encode(&golden_events(), Compression::None, Some(producer));
    assert_eq!(written.bytes(), &bytes(NONE));
}

#[test]
fn events_on_both_sides_of_the_limit() {
    let check = |events: i32, expected: bool| {
        // Compressed: how many events there are is not seen from outside.
        let mut forged = bytes(ZSTD).to_vec();
        forged[23..27].copy_from_slice(&(events - 1).to_be_bytes());
        forged[57..61].copy_from_slice(&events.to_be_bytes());
        let crc = crc32c::crc32c(&forged[21..]);
        forged[17..21].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(Batch::take(&mut Bytes::from(forged)).is_ok(), expected, "{events}");
    };
    check(1, true);
    check(crate::limits::EVENTS_MAX as i32, true);
    check(crate::limits::EVENTS_MAX as i32 + 1, false);
    check(i32::MAX, false);
}

#[test]
fn take_leaves_what_follows() {
    let mut two = Bytes::from([bytes(NONE), bytes(ZSTD), Bytes::from_static(b"tail")].concat());
    assert_eq!(Batch::take(&mut two).unwrap().compression(), Compression::None);
    assert_eq!(Batch::take(&mut two).unwrap().compression(), Compression::Zstd);
    assert_eq!(two, "tail");
    assert_eq!(Batch::take(&mut two), Err(BatchError::Short { need: 61, have: 4 }));
    assert_eq!(two, "tail");
}

#[test]
fn the_base_offset_is_set_in_place_where_nobody_else_holds_the_bytes() {
    let batch = take(bytes(NONE)).unwrap();
    let address = batch.bytes().as_ptr();
    let moved = batch.at(5);
    assert_eq!(moved.bytes().as_ptr(), address);
    let held = moved.clone();
    let copied = moved.at(6);
    assert_ne!(copied.bytes().as_ptr(), address);
    assert_eq!((held.base_offset(), copied.base_offset()), (5, 6));
}

#[test]
fn every_flipped_bit_under_the_crc_is_seen() {
    for hex in [NONE, SNAPPY] {
        let golden = bytes(hex);
        for bit in CRC_AT * 8..golden.len() * 8 {
            let mut broken = golden.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            let refused = take(Bytes::from(broken));
            assert!(matches!(refused, Err(BatchError::Crc { .. })), "bit {bit}: {refused:?}");
        }
    }
}

#[test]
fn every_cut_is_short() {
    let golden = bytes(LZ4);
    for length in 0..golden.len() {
        let refused = take(golden.slice(..length));
        assert!(
            matches!(refused, Err(BatchError::Short { .. })),
            "{length}: {refused:?}"
        );
    }
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let check = |at: usize, field: &[u8], expected: &str| {
        let refused = take(forge(&bytes(NONE), at, field)).map_err(|error| error.to_string());
        assert!(
            refused.as_ref().is_err_and(|error| error.contains(expected)),
            "{expected}: {refused:?}"
        );
    };
    check(0, &[0xff; 8], "an offset is negative");
    check(0, &(i64::MAX - 2).to_be_bytes(), "beyond the largest");
    check(LENGTH_AT, &(-1_i32).to_be_bytes(), "its length is negative");
    check(LENGTH_AT, &48_i32.to_be_bytes(), "less than its header's");
    check(LENGTH_AT, &i32::MAX.to_be_bytes(), "cut short");
    check(MAGIC_AT, &[1], "message format 1");
    check(ATTRIBUTES_AT, &5_i16.to_be_bytes(), "compression is none of");
    check(
        LAST_OFFSET_DELTA_AT,
        &3_i32.to_be_bytes(),
        "differs from its last offset delta",
    );
    check(EVENT_COUNT_AT, &0_i32.to_be_bytes(), "holds no events");
    check(EVENT_COUNT_AT, &(-1_i32).to_be_bytes(), "holds no events");
    check(PRODUCER_EPOCH_AT, &(-1_i16).to_be_bytes(), "without its epoch");
    check(
        BASE_SEQUENCE_AT,
        &(-1_i32).to_be_bytes(),
        "without its epoch and sequence",
    );
    let many = forge(&bytes(NONE), LAST_OFFSET_DELTA_AT, &21_i32.to_be_bytes());
    let refused = take(forge(&many, EVENT_COUNT_AT, &22_i32.to_be_bytes()));
    assert_eq!(
        refused,
        Err(BatchError::Malformed("it states more events than its bytes can hold"))
    );
    // 148 bytes of events can hold 21 of 7 bytes: the counts agree, and the fault is found when events are read.
    let most = forge(&bytes(NONE), LAST_OFFSET_DELTA_AT, &20_i32.to_be_bytes());
    let taken = take(forge(&most, EVENT_COUNT_AT, &21_i32.to_be_bytes())).unwrap();
    assert!(taken.events().is_err());
}

#[test]
fn the_last_offset_there_can_be() {
    let batch = take(bytes(NONE)).unwrap().at(i64::MAX as u64 - 3);
    assert_eq!(batch.next_offset(), i64::MAX as u64);
    assert_eq!(take(batch.bytes().clone()), Ok(batch));
}

#[test]
#[should_panic(expected = "beyond the last one")]
fn an_offset_beyond_the_last_is_our_bug() {
    take(bytes(NONE)).unwrap().at(i64::MAX as u64 - 2);
}

#[test]
fn control_batches_hold_no_events() {
    let batch = take(forge(&bytes(NONE), ATTRIBUTES_AT, &0x30_i16.to_be_bytes())).unwrap();
    assert!(batch.is_control() && batch.is_transactional());
    assert_eq!(batch.events(), Ok(Vec::new()));
    assert_eq!(batch.next_offset(), 3);
}

#[test]
fn append_time_stands_for_every_event() {
    let batch = take(forge(&bytes(GZIP), ATTRIBUTES_AT, &0x9_i16.to_be_bytes())).unwrap();
    let events = batch.events().unwrap();
    assert!(batch.is_append_time());
    assert!(events.iter().all(|(_, event)| event.timestamp_ms == 1_700_000_000_005));
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn any_event() -> impl Strategy<Value = Event> {
    let header = ("[a-zä]{0,5}", any_bytes()).prop_map(|(name, value)| Header { name, value });
    let headers = proptest::collection::vec(header, 0..3);
    (any_bytes(), any_bytes(), headers, any::<i64>()).prop_map(|(key, value, headers, timestamp_ms)| Event {
        key,
        value,
        headers,
        timestamp_ms,
    })
}

/// Each event is found by its offset as the walk gives it, and nothing is found where the walk finds nothing.
fn check_found_by_offset(batch: &Batch) -> Result<(), TestCaseError> {
    let Ok(events) = batch.open() else { return Ok(()) };
    let walked: Vec<EventSlice<'_>> = events.iter().map_while(Result::ok).collect();
    let indexed = IndexedEvents::new(events.clone());
    let from = batch.base_offset().saturating_sub(1);
    // A forged batch may state any number of offsets.
    for offset in (from..=batch.next_offset()).take(1_000) {
        let expected = walked.iter().find(|slice| slice.offset == offset);
        prop_assert_eq!(indexed.get(offset), expected.copied(), "{}", offset);
    }
    Ok(())
}

proptest! {
    #[test]
    fn events_are_found_by_their_offsets(
        events in proptest::collection::vec(any_event(), 1..40),
        code in 0..5_usize,
        base in 0..1_u64 << 40,
        kept in any::<u64>(),
    ) {
        let batch = Batch::encode(&events, CODES[code], None).at(base);
        check_found_by_offset(&batch)?;
        let rest = batch.without(|event| kept >> (event.offset - base) & 1 == 0).unwrap();
        check_found_by_offset(&rest)?;
    }

    #[test]
    fn events_round_trip(events in proptest::collection::vec(any_event(), 1..40), code in 0..5_usize, base in 0..1_u64 << 40) {
        let batch = Batch::encode(&events, CODES[code], None).at(base);
        let taken = take(batch.bytes().clone()).unwrap();
        prop_assert_eq!(taken.timestamp_ms_max(), events.iter().map(|event| event.timestamp_ms).max().unwrap());
        let expected: Vec<(u64, Event)> = (base..).zip(events).collect();
        prop_assert_eq!(taken.events().unwrap(), expected);
        prop_assert_eq!(&taken, &batch);
    }

    #[test]
    fn random_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut noise = Bytes::from(noise);
        prop_assert!(Batch::take(&mut noise).is_err());
    }

    /// With the CRC made right, everything below it is reached.
    #[test]
    fn forged_batches_never_panic(
        golden in 0..5_usize,
        changes in proptest::collection::vec((ATTRIBUTES_AT..250_usize, any::<u8>()), 1..6),
    ) {
        let mut forged = bytes([NONE, GZIP, SNAPPY, LZ4, ZSTD][golden]);
        for (at, byte) in changes {
            let at = at % forged.len();
            forged = forge(&forged, at.max(ATTRIBUTES_AT), &[byte]);
        }
        if let Ok(batch) = take(forged) {
            check_found_by_offset(&batch)?;
            let read = batch.events();
            prop_assert_eq!(read.is_ok(), batch.check_events().is_ok());
            if let Ok(events) = read {
                prop_assert!(batch.is_control() || events.len() == batch.event_count() as usize);
            }
        }
    }
}

#[test]
fn markers_come_back_and_take_one_offset() {
    for marker in [Marker::Committed, Marker::Aborted] {
        let batch = Batch::encode_marker(marker, 4, 7, 1_700_000_000_000);
        let back = take(batch.bytes().clone()).unwrap();
        assert_eq!(back.marker(), Some(marker));
        assert!(back.is_control() && back.is_transactional());
        let producer = back.producer().unwrap();
        assert_eq!((producer.id, producer.epoch, producer.base_sequence), (4, 7, -1));
        assert_eq!(back.next_offset() - back.base_offset(), 1);
        assert_eq!(back.events().unwrap(), []);
    }
    let plain = Batch::encode(&golden_events(), Compression::None, None);
    assert_eq!(plain.marker(), None);
}

#[test]
fn events_taken_back_leave_their_offsets() {
    for code in CODES {
        let producer = Producer {
            id: 4,
            epoch: 0,
            base_sequence: 0,
        };
        let batch = Batch::encode_transactional(&golden_events(), code, producer).at(41);
        let emptied = batch.without_events();
        assert!(batch.is_transactional() && !batch.is_control());
        assert_eq!((emptied.base_offset(), emptied.next_offset()), (41, 44));
        assert_eq!(emptied.events().unwrap(), []);
        assert_eq!(emptied.producer(), batch.producer());
    }
}

/// What a batch of one event is going to take is known before it is encoded.
#[test]
fn an_event_alone_takes_what_its_batch_has() {
    let mut events = golden_events();
    events.push(event(
        Some("k"),
        Some(Box::leak("v".repeat(100_000).into_boxed_str())),
        i64::MAX,
    ));
    for event in events {
        let batch = Batch::encode(std::slice::from_ref(&event), Compression::None, None);
        assert_eq!(Batch::bytes_alone(&event), batch.bytes().len(), "{event:?}");
    }
}

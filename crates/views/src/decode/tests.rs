//! Tests of decoding: what fits, what is parked and why, and that neighbours never disturb each other.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use headwater_catalog::{Column, ColumnType, EarlierSchema, Format, FormerName};
use headwater_records::{Batch, Event, Header};
use proptest::prelude::*;

use super::row::QUOTED_MAX;
use super::*;

fn definition(columns: Option<&[(&str, ColumnType, bool)]>) -> StreamDefinition {
    let column = |(name, column_type, nullable): &(&str, ColumnType, bool)| Column::new(*name, *column_type, *nullable);
    StreamDefinition {
        name: "s".to_owned(),
        columns: columns.map(|columns| columns.iter().map(column).collect()),
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 1,
        format: Format::Json,
        statement: String::new(),
        ..StreamDefinition::default()
    }
}

fn one_column(column_type: ColumnType) -> StreamDecoder {
    StreamDecoder::new(&definition(Some(&[("c", column_type, true)])))
}

fn event(value: Option<&[u8]>) -> Event {
    Event {
        value: value.map(Bytes::copy_from_slice),
        ..Event::default()
    }
}

fn stored(events: &[Event], base_offset: u64) -> StoredBatch {
    StoredBatch {
        batch: Batch::encode(events, Compression::None, None).at(base_offset),
        appended_at_us: 1_000_000,
        principal: "ann".into(),
    }
}

fn decode(decoder: &StreamDecoder, values: &[&[u8]], projection: Option<&[usize]>) -> Decoded {
    let events: Vec<Event> = values.iter().map(|value| event(Some(value))).collect();
    decoder.decode(0, &[stored(&events, 0)], 0, u64::MAX, projection)
}

/// One JSON value in a column `c`: how it prints, or the end of the reason why it does not fit.
fn check(column_type: ColumnType, value: &str, expected: Result<&str, &str>) {
    let text = format!("{{\"c\":{value}}}");
    let decoded = decode(&one_column(column_type), &[text.as_bytes()], Some(&[0]));
    match expected {
        Ok(expected) => {
            assert_eq!(decoded.parked, [], "{value} as {column_type}");
            let column = decoded.rows.column(0);
            let printed = match column.is_null(0) {
                true => "NULL".to_owned(),
                false => arrow::util::display::array_value_to_string(column, 0).expect("it prints"),
            };
            assert_eq!(printed, expected, "{value} as {column_type}");
        }
        Err(why) => {
            assert_eq!(decoded.rows.num_rows(), 0, "{value} as {column_type}");
            let expected = format!("column 'c' {column_type}: {value} {why}");
            assert_eq!(decoded.parked[0].reason, expected);
            assert_eq!(one_column(column_type).check(Some(text.as_bytes())), Err(expected));
        }
    }
}

#[test]
fn values_fit_their_columns_exactly_or_say_why_not() {
    use ColumnType::*;
    for column_type in [
        Boolean,
        Integer,
        BigInt,
        Real,
        Double,
        Decimal(18, 2),
        Text,
        Bytes,
        Date,
        Timestamp,
        TimestampTz,
        Json,
    ] {
        check(column_type, "null", Ok("NULL"));
    }
    check(Boolean, "true", Ok("true"));
    check(Boolean, "1", Err("is neither true nor false"));
    check(Integer, "2147483647", Ok("2147483647"));
    check(Integer, "2147483648", Err("is out of range"));
    check(Integer, "\"-5\"", Ok("-5"));
    check(BigInt, "9007199254740993", Ok("9007199254740993"));
    check(BigInt, "\"9223372036854775807\"", Ok("9223372036854775807"));
    check(BigInt, "9223372036854775808", Err("is out of range"));
    check(BigInt, "1.5", Err("is no whole number"));
    check(BigInt, "true", Err("is no number"));
    check(BigInt, "\"\"", Err("is no number"));
    check(Double, "0.1", Ok("0.1"));
    check(Double, "\"NaN\"", Ok("NaN"));
    check(Double, "1e400", Err("is out of range"));
    check(Real, "1e39", Err("is out of range"));
    check(Decimal(18, 2), "0.07", Ok("0.07"));
    check(Decimal(18, 2), "\"1234567890123456.78\"", Ok("1234567890123456.78"));
    check(
        Decimal(18, 2),
        "1.005",
        Err("has more digits after the point than the column keeps"),
    );
    check(Decimal(18, 2), "10000000000000000", Err("is out of range"));
    check(Decimal(18, 2), "[1]", Err("is no number"));
    check(Text, "\"a\\u00e9\\\"\"", Ok("aé\""));
    check(Text, "5", Err("is no string"));
    check(
        Text,
        "\"\\ud800\"",
        Err("it has half a surrogate pair (\\u), which is no character"),
    );
    check(Bytes, "\"AQL/\"", Ok("0102ff"));
    check(Bytes, "\"AQL\"", Err("is no base64"));
    check(Date, "\"2025-11-23\"", Ok("2025-11-23"));
    check(Date, "\"2025-02-30\"", Err("is no date (YYYY-MM-DD)"));
    check(Date, "20251123", Err("is no string"));
    check(Timestamp, "\"2025-11-23T10:00:00Z\"", Ok("2025-11-23T10:00:00"));
    check(
        Timestamp,
        "\"2025-11-23T10:00:00+01:00\"",
        Err("has a time zone, which the column does not keep (declare it TIMESTAMPTZ)"),
    );
    check(TimestampTz, "\"2025-11-23T10:00:00+01:00\"", Ok("2025-11-23T09:00:00Z"));
    check(
        TimestampTz,
        "\"yesterday\"",
        Err("is no timestamp (YYYY-MM-DDTHH:MM:SSZ, to the microsecond at most)"),
    );
    check(
        TimestampTz,
        "\"2025-11-23T10:00:00.1234560Z\"",
        Ok("2025-11-23T10:00:00.123456Z"),
    );
    check(
        TimestampTz,
        "\"2025-11-23T10:00:00.1234567Z\"",
        Err("is no timestamp (YYYY-MM-DDTHH:MM:SSZ, to the microsecond at most)"),
    );
    check(Json, "{\"a\":[1, 2]}", Ok("{\"a\":[1, 2]}"));
}

#[test]
fn values_that_are_no_object_are_parked_with_the_reason() {
    let decoder = StreamDecoder::new(&definition(Some(&[
        ("a", ColumnType::Text, false),
        ("b", ColumnType::BigInt, true),
    ])));
    let check = |value: &[u8], reason: &str| {
        let good: &[u8] = br#"{"a":"x"}"#;
        let decoded = decode(&decoder, &[good, value, good], None);
        assert_eq!(decoded.rows.num_rows(), 2, "the neighbours stay");
        assert_eq!(decoded.rows.column(3).as_primitive::<Int64Type>().values(), &[0, 2]);
        assert_eq!(decoded.parked.len(), 1);
        assert_eq!(decoded.parked[0].address.to_string(), "s/0@1");
        assert_eq!(decoded.parked[0].reason, reason);
        assert_eq!(decoded.parked[0].value.as_deref(), Some(value));
    };
    check(b"", "the value is empty, a JSON object was expected");
    check(
        b"hello",
        "the value is no JSON object: a value was expected at byte 0: hello",
    );
    check(b"[1]", "the value is no JSON object: it is no object at byte 0: [1]");
    check(
        br#"{"a":"x"}{"a":"y"}"#,
        "the value is no JSON object: something follows the end of the value at byte 9: {\"a\":\"x\"}{\"a\":\"y\"}",
    );
    check(
        br#"{"a":"x""#,
        "the value is no JSON object: it is cut short at byte 8: {\"a\":\"x\"",
    );
    check(br#"{"b":1}"#, "column 'a' TEXT NOT NULL: it is missing or null");
    check(br#"{"a":null}"#, "column 'a' TEXT NOT NULL: it is missing or null");
    check(
        b"{\"a\":\"\xff\"}",
        "the value is no UTF-8 text: the byte 6 is not part of a character",
    );
    check(br#"{"a":"x","b":"y"}"#, "column 'b' BIGINT: \"y\" is no number");
    let long = format!("{{\"a\":\"x\",\"b\":\"{}\"}}", "ö".repeat(500));
    check(
        long.as_bytes(),
        &format!("column 'b' BIGINT: \"{}… is no number", "ö".repeat(QUOTED_MAX - 1)),
    );
}

#[test]
fn fields_are_found_in_any_order_escaped_or_repeated() {
    let decoder = StreamDecoder::new(&definition(Some(&[
        ("a", ColumnType::Text, true),
        ("b", ColumnType::BigInt, true),
    ])));
    let check = |value: &str, a: Option<&str>, b: Option<i64>| {
        let decoded = decode(&decoder, &[value.as_bytes()], None);
        assert_eq!(decoded.parked, [], "{value}");
        let (left, right) = (
            decoded.rows.column(0).as_string::<i32>(),
            decoded.rows.column(1).as_primitive::<Int64Type>(),
        );
        assert_eq!(left.is_valid(0).then(|| left.value(0)), a, "{value}");
        assert_eq!(right.is_valid(0).then(|| right.value(0)), b, "{value}");
    };
    check(r#"{"a":"x","b":1}"#, Some("x"), Some(1));
    check(r#"{"b":1,"a":"x"}"#, Some("x"), Some(1));
    check(r#"{"unknown":{"a":"y"},"b":1}"#, None, Some(1));
    check(r#"{"\u0061":"x","A":"z"}"#, Some("x"), None);
    check(r#"{"b":1,"b":2,"b":3}"#, None, Some(3));
    check("{}", None, None);
    check(r#" { "a" : "x\ny" } "#, Some("x\ny"), None);
}

/// An event fits whichever columns are asked for: all readers see the same rows.
#[test]
fn a_projection_changes_columns_not_rows() {
    let decoder = StreamDecoder::new(&definition(Some(&[
        ("a", ColumnType::Text, true),
        ("b", ColumnType::Decimal(18, 2), true),
    ])));
    let values: [&[u8]; 3] = [br#"{"a":"x","b":1.5}"#, br#"{"a":"y","b":"much"}"#, br#"{"a":"z"}"#];
    for projection in [&[0][..], &[1], &[3], &[], &[8, 1, 0]] {
        let decoded = decode(&decoder, &values, Some(projection));
        assert_eq!(decoded.rows.num_rows(), 2);
        assert_eq!(decoded.rows.num_columns(), projection.len());
        assert_eq!(decoded.parked.len(), 1);
    }
    let decoded = decode(&decoder, &values, Some(&[1]));
    let amounts = decoded.rows.column(0).as_primitive::<Decimal128Type>();
    assert_eq!((amounts.value(0), amounts.is_null(1)), (150, true));
}

#[test]
fn tombstones_and_schema_free_values() {
    let events = [
        event(None),
        event(Some(b"no json")),
        event(Some(b"\xff")),
        event(Some(b"")),
    ];
    let free = StreamDecoder::new(&definition(None));
    let decoded = free.decode(0, &[stored(&events, 7)], 0, u64::MAX, Some(&[0, 2]));
    let printed = pretty_format_batches(&[decoded.rows]).expect("it prints").to_string();
    let expected = "+---------+---------+\n| value   | _offset |\n+---------+---------+\n|         | 7       |\n| no json | 8       |\n|         | 10      |\n+---------+---------+";
    assert_eq!(printed, expected);
    assert_eq!(decoded.parked[0].address.offset, 9);
    assert_eq!(free.check(Some(b"no json")), Ok(()));

    let typed = one_column(ColumnType::Text);
    let decoded = typed.decode(0, &[stored(&[event(None), event(Some(b"{}"))], 0)], 0, u64::MAX, None);
    assert_eq!(
        (decoded.rows.num_rows(), decoded.parked.len()),
        (1, 0),
        "a tombstone is no row and is not parked"
    );
    assert_eq!(typed.check(None), Ok(()));
}

#[test]
fn system_columns_say_where_when_and_who() {
    let header = |name: &str, value: Option<&'static [u8]>| Header {
        name: name.to_owned(),
        value: value.map(Bytes::from_static),
    };
    let events = [
        Event {
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"{}")),
            headers: vec![header("h", Some(b"1")), header("n", None), header("h", Some(b"\xff"))],
            timestamp_ms: 1_500,
        },
        Event {
            key: Some(Bytes::from_static(b"\xfe\x01")),
            value: Some(Bytes::from_static(b"{}")),
            headers: Vec::new(),
            timestamp_ms: i64::MAX,
        },
    ];
    let decoder = one_column(ColumnType::Text);
    let decoded = decoder.decode(3, &[stored(&events, 40)], 0, u64::MAX, Some(&[1, 2, 3, 4, 5, 6, 7]));
    let row = |index: usize| -> Vec<String> {
        let print = |column| arrow::util::display::array_value_to_string(column, index).expect("it prints");
        let columns = decoded.rows.columns().iter().enumerate();
        columns
            .filter(|(at, _)| index == 0 || *at != 4)
            .map(|(_, column)| print(column))
            .collect()
    };
    let first = [
        "3",
        "40",
        "k",
        r#"{"h":["1","\\xff"],"n":null}"#,
        "1970-01-01T00:00:01.500Z",
        "1970-01-01T00:00:01Z",
        "ann",
    ];
    assert_eq!(row(0), first);
    assert_eq!(row(1), ["3", "41", "\\xfe01", "", "1970-01-01T00:00:01Z", "ann"]);
}

#[test]
fn only_the_offsets_asked_for() {
    let decoder = one_column(ColumnType::BigInt);
    let batches: Vec<StoredBatch> = (0..3)
        .map(|batch| {
            let events: Vec<Event> = (0..4)
                .map(|at| event(Some(format!("{{\"c\":{}}}", batch * 4 + at).as_bytes())))
                .collect();
            stored(&events, batch * 4)
        })
        .collect();
    let check = |from: u64, to: u64| {
        let decoded = decoder.decode(0, &batches, from, to, Some(&[0]));
        let expected: Vec<i64> = (from as i64..to.min(12) as i64).collect();
        assert_eq!(
            decoded.rows.column(0).as_primitive::<Int64Type>().values(),
            &expected[..]
        );
    };
    check(0, u64::MAX);
    check(3, 9);
    check(4, 8);
    check(11, 12);
    check(12, 12);
}

#[test]
fn portions_are_bounded_by_events_and_by_compressed_batches() {
    let check = |compression, counts: &[usize], events, expected: &[usize]| {
        let batches: Vec<StoredBatch> = counts
            .iter()
            .map(|count| StoredBatch {
                batch: Batch::encode(&vec![event(Some(b"{}")); *count], compression, None),
                appended_at_us: 0,
                principal: "ann".into(),
            })
            .collect();
        let lengths: Vec<usize> = portions(&batches, events).map(<[StoredBatch]>::len).collect();
        assert_eq!(lengths, expected);
    };
    check(Compression::None, &[], 10, &[]);
    check(Compression::None, &[4, 4, 4, 4], 8, &[2, 2]);
    check(Compression::None, &[9, 1], 8, &[1, 1]);
    check(Compression::None, &[1; 9], 8, &[8, 1]);
    check(Compression::Lz4, &[1; 9], 8, &[4, 4, 1]);
}

proptest! {
    /// Whatever bytes come in, the good neighbours come out, and the value is a row or is parked.
    #[test]
    fn no_bytes_disturb_their_neighbours(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let decoder = StreamDecoder::new(&definition(Some(&[("a", ColumnType::Text, true), ("b", ColumnType::Decimal(9, 3), true)])));
        let good: &[u8] = br#"{"a":"x"}"#;
        let decoded = decode(&decoder, &[good, &value, good], None);
        prop_assert_eq!(decoded.rows.num_rows() + decoded.parked.len(), 3);
        prop_assert!(decoded.parked.iter().all(|parked| parked.address.offset == 1));
    }

    /// JSON with a hole punched in it: taken exactly when serde_json takes it as an object (the columns take anything).
    #[test]
    fn damaged_json_is_taken_exactly_when_it_is_json(at in 0_usize..64, byte in any::<u8>()) {
        let decoder = StreamDecoder::new(&definition(Some(&[("j", ColumnType::Json, true)])));
        let mut text = br#"{"j": [1.5e3, "a\u00e9\n", {"k": null}], "x": {"y": [true, -0]}}"#.to_vec();
        let index = at % text.len();
        text[index] = byte;
        let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
        prop_assert_eq!(decode(&decoder, &[&text], None).rows.num_rows() == 1, is_object);
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_parked_and_the_others_are_rows() {
    // Says that it is compressed with zstd, and is not: its CRC is right, so that the log takes it.
    let mut forged = stored(&[event(Some(b"{}")), event(Some(b"{}"))], 0)
        .batch
        .bytes()
        .to_vec();
    forged[22] = 4;
    let crc = crc32c::crc32c(&forged[21..]);
    forged[17..21].copy_from_slice(&crc.to_be_bytes());
    let forged = StoredBatch {
        batch: Batch::take(&mut Bytes::from(forged))
            .expect("its CRC and counts are right")
            .at(5),
        ..stored(&[event(None)], 0)
    };
    let batches = [
        stored(&[event(Some(b"{}"))], 4),
        forged,
        stored(&[event(Some(b"{}"))], 7),
    ];
    let decoder = one_column(ColumnType::Text);
    let decoded = decoder.decode(0, &batches, 0, u64::MAX, None);
    assert_eq!((decoded.rows.num_rows(), decoded.parked.len()), (2, 1));
    let parked = &decoded.parked[0];
    assert_eq!((parked.address.offset, parked.value.is_none()), (5, true));
    assert!(
        parked.reason.contains("offsets 5 to 6 cannot be read"),
        "{}",
        parked.reason
    );
    // Who begins inside of it parks it where he begins.
    let decoded = decoder.decode(0, &batches, 6, u64::MAX, None);
    assert_eq!(decoded.parked[0].address.offset, 6);
}

/// A stream of three versions: `a INTEGER`; then `b INTEGER DEFAULT 7` came; then `a` was renamed to `c`. Two events of each.
fn evolved() -> StreamDecoder {
    let mut definition = definition(Some(&[
        ("c", ColumnType::Integer, true),
        ("b", ColumnType::Integer, false),
    ]));
    if let Some([c, b]) = definition.columns.as_deref_mut() {
        c.former = vec![FormerName {
            name: "a".to_owned(),
            until: 2,
        }];
        b.default = Some("7".to_owned());
        b.since = 2;
    }
    definition.earlier = [2, 4]
        .map(|until| {
            Arc::new(EarlierSchema {
                columns: None,
                until: vec![until],
                upcaster: None,
                statement: String::new(),
            })
        })
        .into();
    StreamDecoder::with_history(&definition, &Schemas::default(), Vec::new())
}

#[test]
fn an_event_is_read_by_the_names_and_columns_of_its_version() {
    // One value, as an event of each version: `c|b`, or `-` where it is parked.
    let check = |value: &str, expected: [&str; 3]| {
        let decoder = evolved();
        for (version, expected) in expected.into_iter().enumerate() {
            let offset = version as u64 * 2;
            let batches = [stored(&[event(Some(value.as_bytes()))], offset)];
            let decoded = decoder.decode(0, &batches, 0, u64::MAX, Some(&[0, 1]));
            let print = |column: usize| match decoded.rows.column(column).is_null(0) {
                true => "NULL".to_owned(),
                false => {
                    arrow::util::display::array_value_to_string(decoded.rows.column(column), 0).expect("it prints")
                }
            };
            let found = match decoded.rows.num_rows() {
                0 => "-".to_owned(),
                _ => format!("{}|{}", print(0), print(1)),
            };
            assert_eq!(found, expected, "{value} in version {}", version + 1);
        }
    };
    check(r#"{"a":1}"#, ["1|7", "1|7", "1|7"]);
    check(r#"{"c":1}"#, ["NULL|7", "NULL|7", "1|7"]);
    // Of two names the one that the column has by then counts, wherever it stands.
    check(r#"{"c":1,"a":2}"#, ["2|7", "2|7", "1|7"]);
    check(r#"{"a":2,"c":1}"#, ["2|7", "2|7", "1|7"]);
    check(r#"{"a":2,"c":null}"#, ["2|7", "2|7", "NULL|7"]);
    // A column that came later makes no claim on what was there before it.
    check(r#"{"a":1,"b":2}"#, ["1|2", "1|2", "1|2"]);
    check(r#"{"a":1,"b":"two"}"#, ["1|7", "-", "-"]);
    check(r#"{"a":1,"b":null}"#, ["1|7", "-", "-"]);
    check(r#"{"a":"one"}"#, ["-", "-", "-"]);
}

#[test]
fn a_run_of_several_versions_is_decoded_in_order() {
    let events: Vec<Event> = (0..6)
        .map(|number| event(Some(format!("{{\"a\":{number},\"c\":{}}}", number * 10).as_bytes())))
        .collect();
    let decoder = evolved();
    let check = |from: u64, to: u64, expected: &[i32]| {
        let decoded = decoder.decode(0, &[stored(&events, 0)], from, to, Some(&[0]));
        let found: Vec<i32> = decoded.rows.column(0).as_primitive::<Int32Type>().values().to_vec();
        assert_eq!(found, expected, "{from}..{to}");
    };
    check(0, u64::MAX, &[0, 1, 2, 3, 40, 50]);
    check(1, 5, &[1, 2, 3, 40]);
    check(5, 6, &[50]);
    check(6, 9, &[]);
    assert_eq!(
        decoder
            .decode(1, &[stored(&events, 0)], 0, 2, Some(&[0]))
            .rows
            .num_rows(),
        2
    );
}

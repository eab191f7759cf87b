//! The streams of the oracle, and events for them: each is made of values, so that what is to be read of it is known without reading it.

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::{Column, ColumnType, Format, StreamDefinition};
use headwater_host::simulated::Random;
use headwater_records::Event;

use super::registered::{of_g, of_h};

/// A stream that writers write to.
pub struct Stream {
    pub name: &'static str,
    pub partitions: u32,
    pub key: &'static [&'static str],
    pub format: Format,
    /// `None`: schema-free.
    pub columns: Option<&'static [(&'static str, ColumnType, bool)]>,
}

/// All of them. `c` is written by a pipeline of its own: see [`super::pipes`].
pub const STREAMS: [Stream; 5] = [
    Stream {
        name: "a",
        partitions: 3,
        key: &["id"],
        format: Format::Json,
        columns: Some(&[
            ("id", ColumnType::BigInt, false),
            ("name", ColumnType::Text, true),
            ("n", ColumnType::BigInt, true),
            ("amount", ColumnType::Decimal(18, 2), true),
            ("x", ColumnType::Double, true),
            ("ok", ColumnType::Boolean, true),
            ("day", ColumnType::Date, true),
            ("at", ColumnType::TimestampTz, true),
            ("local", ColumnType::Timestamp, true),
        ]),
    },
    Stream {
        name: "b",
        partitions: 2,
        key: &["who"],
        format: Format::Csv { delimiter: ';' },
        columns: Some(&[
            ("who", ColumnType::Text, true),
            ("n", ColumnType::BigInt, true),
            ("at", ColumnType::TimestampTz, true),
        ]),
    },
    Stream {
        name: "f",
        partitions: 2,
        key: &[],
        format: Format::Json,
        columns: None,
    },
    Stream {
        name: "g",
        partitions: 2,
        key: &["id"],
        format: Format::Avro,
        columns: Some(&[
            ("id", ColumnType::BigInt, false),
            ("name", ColumnType::Text, true),
            ("amount", ColumnType::Decimal(18, 2), true),
            ("x", ColumnType::Double, true),
            ("at", ColumnType::TimestampTz, true),
        ]),
    },
    Stream {
        name: "h",
        partitions: 2,
        key: &["who"],
        format: Format::Protobuf,
        columns: Some(&[
            ("who", ColumnType::Text, true),
            ("n", ColumnType::BigInt, true),
            ("at", ColumnType::TimestampTz, true),
            ("x", ColumnType::Double, true),
        ]),
    },
];

impl Stream {
    /// What the catalog says of it.
    pub fn definition(&self) -> StreamDefinition {
        let column =
            |(name, column_type, nullable): &(&str, ColumnType, bool)| Column::new(*name, *column_type, *nullable);
        StreamDefinition {
            name: self.name.to_owned(),
            columns: self.columns.map(|columns| columns.iter().map(column).collect()),
            key: self.key.iter().map(|column| (*column).to_owned()).collect(),
            partitions: self.partitions,
            format: self.format,
            statement: format!("CREATE STREAM {}", self.name),
            ..StreamDefinition::default()
        }
    }
}

/// What is to be read of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Reads {
    /// A row of these values.
    Row(Vec<ScalarValue>),
    /// The row of this key is no more.
    Tombstone(Vec<ScalarValue>),
    /// Nothing: it is parked.
    Nothing,
}

/// An event, and what is to be read of it.
#[derive(Debug, Clone)]
pub struct Made {
    pub event: Event,
    pub reads: Reads,
}

/// Texts of all lengths: empty, one byte to four in a character, composed of several, a line break, a control character, and a long one.
pub(super) const TEXTS: [&str; 10] = [
    "",
    "a",
    "ä",
    "日本",
    "👩\u{200d}👩\u{200d}👧",
    "e\u{301}",
    "it's \"so\"; or\nnot",
    "a bell \u{7} inside",
    "a b",
    "a name that is longer than what an array of views keeps in place, and longer than others are by far: \
     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const DAY_US: i64 = 86_400_000_000;
/// 2025-11-23.
const NOVEMBER: i64 = 20_415;

pub(super) fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len())]
}

pub(super) fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

/// One event for a stream.
pub fn event(stream: usize, random: &mut Random) -> Made {
    match STREAMS[stream].name {
        "a" => of_a(random),
        "b" => of_b(random),
        "g" => of_g(random),
        "h" => of_h(random),
        _ => of_f(random),
    }
}

pub(super) fn made(key: Option<&str>, value: Option<&[u8]>, timestamp_ms: i64, reads: Reads) -> Made {
    let bytes = Bytes::copy_from_slice;
    Made {
        event: Event {
            key: key.map(|key| bytes(key.as_bytes())),
            value: value.map(bytes),
            timestamp_ms,
            ..Event::default()
        },
        reads,
    }
}

/// When a writer says that it wrote: not in the order of appending.
pub(super) fn timestamp(random: &mut Random) -> i64 {
    1_700_000_000_000 + random.below(7) as i64 * 3_600_000
}

/// JSON with typed columns.
fn of_a(random: &mut Random) -> Made {
    let at = timestamp(random);
    let id = match random.below(30) {
        0 => i64::MAX,
        1 => i64::MIN,
        _ => random.below(5) as i64,
    };
    let key = id.to_string();
    match random.below(24) {
        0 | 1 => {
            return made(
                Some(key.as_str()),
                None,
                at,
                Reads::Tombstone(vec![ScalarValue::from(id)]),
            );
        }
        2 => return made(Some("no number"), None, at, Reads::Nothing),
        3 => return made(Some(key.as_str()), Some(*pick(random, &UNFIT_OF_A)), at, Reads::Nothing),
        _ => {}
    }
    let mut json = format!(
        "{{\"id\":{}",
        match random.below(4) {
            0 => format!("\"{id}\""),
            // Of a name that repeats the last counts.
            1 => format!("7,\"id\":{id}"),
            _ => key.clone(),
        }
    );
    let mut values = vec![ScalarValue::from(id)];
    for cells in [
        names(random),
        numbers(random),
        amounts(random),
        doubles(random),
        truths(random),
        days(random),
        moments(random),
        locals(random),
    ] {
        let (name, written, value) = cells;
        match written {
            Some(written) => json.push_str(&format!(",\"{name}\":{written}")),
            // A field that is NULL may be missing.
            None if random.coin() => json.push_str(&format!(",\"{name}\":null")),
            None => {}
        }
        values.push(value);
    }
    if random.below(5) == 0 {
        json.push_str(",\"unknown\":[1,{\"deep\":null}]");
    }
    json.push('}');
    let has_key = random.below(8) > 0;
    made(
        has_key.then_some(key.as_str()),
        Some(json.as_bytes()),
        at,
        Reads::Row(values),
    )
}

const UNFIT_OF_A: [&[u8]; 12] = [
    b"no json",
    b"",
    b"{}",
    b"[1]",
    b"{\"id\":null}",
    b"{\"id\":1.5}",
    b"{\"id\":9223372036854775808}",
    b"{\"id\":1,\"amount\":\"much\"}",
    b"{\"id\":1,\"amount\":0.001}",
    b"{\"id\":1,\"day\":\"2025-02-30\"}",
    b"{\"id\":1,\"name\":\"\xff\"}",
    b"{\"id\":1,\"name\":\"nul \\u0000 inside\"}",
];

/// A column, its value as JSON (`None`: NULL) and as it is to be read.
pub(super) type Cell = (&'static str, Option<String>, ScalarValue);

pub(super) fn names(random: &mut Random) -> Cell {
    let is_null = random.below(6) == 0;
    let name = (!is_null).then(|| *pick(random, &TEXTS));
    let written = name.map(|name| serde_json::Value::from(name).to_string());
    ("name", written, ScalarValue::Utf8(name.map(str::to_owned)))
}

pub(super) fn numbers(random: &mut Random) -> Cell {
    let edges = [0, 1, 7, -3, 5, 9_007_199_254_740_993, i64::MAX, i64::MIN];
    let number = (random.below(5) > 0).then(|| *pick(random, &edges));
    let quoted = random.coin();
    let written = number.map(|number| match quoted {
        true => format!("\"{number}\""),
        false => number.to_string(),
    });
    ("n", written, ScalarValue::Int64(number))
}

pub(super) fn amounts(random: &mut Random) -> Cell {
    let amounts = [
        ("0", 0),
        ("-0.00", 0),
        ("0.01", 1),
        ("-99.99", -9_999),
        ("\"100.1\"", 10_010),
        ("1234567890123.45", 123_456_789_012_345),
    ];
    let amount = (random.below(6) > 0).then(|| *pick(random, &amounts));
    let cents = amount.map(|(_, cents)| cents);
    let written = amount.map(|(written, _)| written.to_owned());
    ("amount", written, ScalarValue::Decimal128(cents, 18, 2))
}

pub(super) fn doubles(random: &mut Random) -> Cell {
    let doubles = [
        ("0.0", 0.0),
        ("-0.0", -0.0),
        ("0.1", 0.1),
        ("-2.5", -2.5),
        ("1e300", 1e300),
        ("5e-324", 5e-324),
        ("\"NaN\"", f64::NAN),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ];
    let double = (random.below(6) > 0).then(|| *pick(random, &doubles));
    let value = double.map(|(_, value)| value);
    let written = double.map(|(written, _)| written.to_owned());
    ("x", written, ScalarValue::Float64(value))
}

fn truths(random: &mut Random) -> Cell {
    let truth = (random.below(4) > 0).then(|| random.coin());
    let written = truth.map(|truth| truth.to_string());
    ("ok", written, ScalarValue::Boolean(truth))
}

fn days(random: &mut Random) -> Cell {
    let days = [
        ("1969-12-31", -1),
        ("2024-02-29", 19_782),
        ("2025-11-23", NOVEMBER as i32),
        ("0001-01-01", -719_162),
    ];
    let day = (random.below(4) > 0).then(|| *pick(random, &days));
    let number = day.map(|(_, number)| number);
    let written = day.map(|(written, _)| format!("\"{written}\""));
    ("day", written, ScalarValue::Date32(number))
}

/// With time zones: the same moment in several of them.
pub(super) fn moments(random: &mut Random) -> Cell {
    let (written, value) = moment(random);
    let written = written.map(|written| format!("\"{written}\""));
    ("at", written, value)
}

fn moment(random: &mut Random) -> (Option<&'static str>, ScalarValue) {
    let ten = NOVEMBER * DAY_US + 36_000_000_000;
    let moments = [
        ("2025-11-23T10:00:00Z", ten),
        ("2025-11-23T11:00:00+01:00", ten),
        ("2025-11-23T04:30:00.000000-05:30", ten),
        ("2025-11-24T00:59:59.999999+01:00", (NOVEMBER + 1) * DAY_US - 1),
        ("1969-12-31T23:59:59.5Z", -500_000),
    ];
    let moment = (random.below(4) > 0).then(|| *pick(random, &moments));
    let us = moment.map(|(_, us)| us);
    let written = moment.map(|(written, _)| written);
    (written, ScalarValue::TimestampMicrosecond(us, None))
}

/// One of them is in an hour that does not exist in Berlin.
fn locals(random: &mut Random) -> Cell {
    let locals = [
        ("2025-03-30T02:30:00", 20_177 * DAY_US + 9_000_000_000),
        ("1969-12-31T23:59:59.999999", -1),
    ];
    let local = (random.below(3) > 0).then(|| *pick(random, &locals));
    let us = local.map(|(_, us)| us);
    let written = local.map(|(written, _)| format!("\"{written}\""));
    ("local", written, ScalarValue::TimestampMicrosecond(us, None))
}

/// CSV.
fn of_b(random: &mut Random) -> Made {
    let at = timestamp(random);
    let who = (random.below(8) > 0).then(|| TEXTS[random.below(6)]);
    match random.below(16) {
        0 | 1 => {
            if let Some(who) = who {
                return made(Some(who), None, at, Reads::Tombstone(vec![text(who)]));
            }
        }
        2 => {
            let unfit: [&[u8]; 4] = [b"a;b;c;d;e", b"\"open", b"a;many", b"a;1;yesterday"];
            return made(who, Some(*pick(random, &unfit)), at, Reads::Nothing);
        }
        _ => {}
    }
    let n = (random.below(4) > 0).then(|| random.below(9) as i64 - 2);
    let (written, moment) = moment(random);
    let field = who.map_or(String::new(), |who| format!("\"{}\"", who.replace('"', "\"\"")));
    let mut line = format!("{field};{}", n.map_or(String::new(), |n| n.to_string()));
    // A missing field at the end is NULL.
    if written.is_some() || random.coin() {
        line.push_str(&format!(";{}", written.unwrap_or_default()));
    }
    let values = vec![ScalarValue::Utf8(who.map(str::to_owned)), ScalarValue::Int64(n), moment];
    made(who, Some(line.as_bytes()), at, Reads::Row(values))
}

/// Whatever a writer likes.
fn of_f(random: &mut Random) -> Made {
    let at = timestamp(random);
    let key = (random.below(6) > 0).then(|| TEXTS[random.below(6)]);
    match random.below(12) {
        // Without a schema a tombstone is a row, too.
        0 | 1 => return made(key, None, at, Reads::Row(vec![ScalarValue::Utf8(None)])),
        2 => return made(key, Some(b"\xff\xfe"), at, Reads::Nothing),
        _ => {}
    }
    let values = ["{\"n\": 1}", "{\"n\": \"2\"}", "no json", "", "[]", "\"日本\""];
    let value = *pick(random, &values);
    made(key, Some(value.as_bytes()), at, Reads::Row(vec![text(value)]))
}

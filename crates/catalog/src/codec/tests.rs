//! Bytes that nobody meant: whatever comes, it is read or refused, and what is read is JSON.

use headwater_schemas::avro::AvroSchema;
use headwater_schemas::protobuf::ProtobufSchema;

use super::*;
use crate::{Column, ColumnType};

/// A generator of numbers that is good enough to make bytes (xorshift, Marsaglia).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Reads a value with some of its bytes changed, taken away or made up, again and again.
fn check(seed: u64, value: &[u8], read: impl Fn(&[u8], &mut String) -> Result<(), String>) {
    let mut whole = String::new();
    read(value, &mut whole).unwrap_or_else(|why| panic!("{value:?} is fine: {why}"));
    let mut dice = Dice(seed);
    for _ in 0..5_000 {
        let mut bytes = value.to_vec();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(bytes.len());
            match dice.roll(3) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, dice.roll(256) as u8),
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = dice.roll(256) as u8),
            }
        }
        let mut json = String::new();
        if read(&bytes, &mut json).is_ok() {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
            assert!(is_json, "{bytes:?} became {json}");
        }
    }
}

const AVRO: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"t","type":["null","string"]}, {"name":"m","type":{"type":"map","values":"bytes"}},
    {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}, {"name":"f","type":"double"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}}, {"name":"next","type":{"type":"array","items":"r"}}]}"#;

#[test]
fn any_bytes_are_read_or_refused() {
    let columns = [
        Column::new("t", ColumnType::Text, true),
        Column::new("m", ColumnType::Json, true),
        Column::new("d", ColumnType::Bytes, true),
    ];
    let row = r#"{"t":"text","m":{"k":"AP8="},"d":1.50,"f":0.5,"at":"2026-01-02T03:04:05Z","next":[{"t":null,"m":{},"d":0,"f":1,"at":"2026-01-02T03:04:05Z","next":[]}]}"#;
    let schema = AvroSchema::parse(AVRO, &[]).expect("a schema");
    let body = avro::write(&schema, row, &[]).expect("a value");
    check(1, &body, |bytes, out| avro::read(&schema, bytes, &columns, out));
    let text = "syntax = \"proto3\"; message M { string t = 1; map<string, bytes> m = 2; double d = 3; repeated M next = 4; int64 n = 5; }";
    let schema = ProtobufSchema::parse(text, &[]).expect("a schema");
    let row = r#"{"t":"text","m":{"k":"AP8="},"d":0.5,"n":7,"next":[{"t":"inner","n":-1}]}"#;
    let body = protobuf::write(&schema, row, &[]).expect("a value");
    check(2, &body, |bytes, out| protobuf::read(&schema, bytes, &columns, out));
    let record = b"text,\"{\"\"k\"\":1}\",\\x00ff";
    check(3, record, |bytes, out| csv::row(utf8(bytes)?, ',', &columns, out));
}

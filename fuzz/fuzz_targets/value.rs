//! No value of a stream and no schema aborts the process: it is read or refused, and what is read is JSON, as long as its bytes and not more.
//!
//! The first byte chooses what the rest is: a value in one of the formats, or the text of a schema that is held against one that is registered.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use headwater_catalog::{Codec, Column, ColumnType, Format, StreamDefinition, Written};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::simulated::Simulation;
use headwater_schemas::{Schema, SchemaType, Schemas, frame};
use libfuzzer_sys::fuzz_target;

const AVRO: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"t","type":["null","string"]}, {"name":"m","type":{"type":"map","values":"bytes"}},
    {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}, {"name":"f","type":"double"},
    {"name":"e","type":{"type":"enum","name":"e","symbols":["a","b"]}}, {"name":"x","type":{"type":"fixed","name":"x","size":4}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}}, {"name":"next","type":{"type":"array","items":"r"}}]}"#;

const PROTOBUF: &str = r#"syntax = "proto3"; message R { string t = 1; map<string, bytes> m = 2; double f = 3; sint64 n = 4; repeated R next = 5;
    enum E { A = 0; B = 1; } E e = 6; oneof one { bool yes = 7; fixed32 x = 8; } }"#;

const JSON: &str = r#"{"type":"object","properties":{"t":{"type":"string"},"n":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["t"]}"#;

const KINDS: [(SchemaType, &str, &str); 3] = [
    (SchemaType::Avro, "avro-value", AVRO),
    (SchemaType::Protobuf, "protobuf-value", PROTOBUF),
    (SchemaType::Json, "json-value", JSON),
];

/// A registry that has a schema of each kind, the one of `KINDS[i]` under the id `i + 1`.
static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let machine = Simulation::new(1);
    let (log, _) = EventLog::open(machine.host(), Path::new("/data/log"), LogOptions::default()).expect("an empty log opens");
    let schemas = Schemas::open(log).expect("an empty registry opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (kind, subject, text) in KINDS {
        let registering = schemas.register(subject, schema(kind, text), "alice");
        runtime.block_on(registering).expect("a schema is taken");
    }
    schemas.reader()
});

fn schema(schema_type: SchemaType, text: &str) -> Schema {
    Schema {
        schema_type,
        text: text.to_owned(),
        references: Vec::new(),
    }
}

/// A stream's codec.
fn codec(format: Format) -> Codec {
    let columns = [("t", ColumnType::Text), ("m", ColumnType::Json), ("n", ColumnType::BigInt)];
    let columns = columns.map(|(name, kind)| Column::new(name, kind, true)).into_iter();
    let columns_max = if matches!(format, Format::Text | Format::Bytes) { 1 } else { usize::MAX };
    let definition = StreamDefinition {
        name: "s".to_owned(),
        columns: Some(columns.take(columns_max).collect()),
        earlier: Vec::new(),
        reading: 0,
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 1,
        format,
        pipeline: None,
        statement: String::new(),
    };
    Codec::of(&definition, &SCHEMAS)
}

/// Reads a value, and what it is shown as.
fn read(codec: &Codec, value: &[u8]) {
    let written = Written {
        version: 1,
        appended_at_us: i64::MAX,
    };
    let mut scratch = String::new();
    if let Ok(row) = codec.row(value, written, &mut scratch)
        && !codec.is_json()
    {
        serde_json::from_str::<serde::de::IgnoredAny>(row).expect("what is read is JSON");
    }
    codec.document(value, written);
}

fuzz_target!(|bytes: &[u8]| {
    let [choice, bytes @ ..] = bytes else { return };
    match choice % 9 {
        0 => read(&codec(Format::Json), bytes),
        1 => read(&codec(Format::Csv { delimiter: ',' }), bytes),
        2 => read(&codec(Format::Text), bytes),
        3 => read(&codec(Format::Bytes), bytes),
        // The id is known, or whatever comes.
        4 => read(&codec(Format::Avro), &[&frame(1), bytes].concat()),
        5 => read(&codec(Format::Protobuf), &[&frame(2), bytes].concat()),
        6 => read(&codec(Format::Avro), bytes),
        7 => read(&codec(Format::Protobuf), bytes),
        _ => {
            let Some((kind, text)) = bytes.split_first() else { return };
            let Ok(text) = std::str::from_utf8(text) else { return };
            let (kind, subject, _) = KINDS[usize::from(kind % 3)];
            let _ = SCHEMAS.obstacles(subject, None, schema(kind, text));
        }
    }
});

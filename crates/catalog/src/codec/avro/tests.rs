//! Values there and back, by every type; hostile bytes.

use headwater_schemas::avro::AvroSchema;

use super::*;
use crate::{Column, ColumnType};

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[]).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// A record of one field `v`.
fn one(field_type: &str) -> AvroSchema {
    schema(&format!(
        r#"{{"type":"record","name":"r","fields":[{{"name":"v","type":{field_type}}}]}}"#
    ))
}

/// Writes the row of one field, and reads it again.
fn check(field_type: &str, value: &str, expected: Result<&str, &str>) {
    let schema = one(field_type);
    let columns = columns(&schema);
    let mut out = String::new();
    let found = write(&schema, &format!("{{\"v\":{value}}}"), &columns)
        .and_then(|body| read(&schema, &body, &columns, &mut out))
        .map(|()| out.as_str());
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, format!("{{\"v\":{expected}}}"), "{field_type}"),
        (Err(found), Err(why)) => assert!(found.contains(why), "{field_type} {value}: {found}"),
        (found, expected) => panic!("{field_type} {value}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn values_come_back() {
    check("\"boolean\"", "true", Ok("true"));
    check("\"int\"", "-7", Ok("-7"));
    check("\"int\"", "2147483648", Err("out of an int's range"));
    check("\"long\"", "\"9007199254740993\"", Ok("9007199254740993"));
    check("\"long\"", "1.5", Err("no whole number"));
    check("\"double\"", "0.1", Ok("0.1"));
    check("\"double\"", "\"NaN\"", Ok("\"NaN\""));
    check("\"float\"", "1.5", Ok("1.5"));
    check("\"string\"", r#""é\"""#, Ok(r#""é\"""#));
    check("\"string\"", "7", Err("no string"));
    check("\"bytes\"", "\"AP8=\"", Ok("\"AP8=\""));
    let logical = |base: &str, name: &str, more: &str| format!(r#"{{"type":"{base}","logicalType":"{name}"{more}}}"#);
    let decimal = logical("bytes", "decimal", r#","precision":20,"scale":2"#);
    check(&decimal, "-0.10", Ok("-0.10"));
    check(&decimal, "\"123456789012345678.90\"", Ok("123456789012345678.90"));
    check(&decimal, "1.005", Err("decimal(20,2)"));
    let fixed = r#"{"type":"fixed","name":"f","size":6,"logicalType":"decimal","precision":9,"scale":3}"#;
    check(fixed, "-12.345", Ok("-12.345"));
    check(r#"{"type":"fixed","name":"f","size":2}"#, "\"AP8=\"", Ok("\"AP8=\""));
    check(r#"{"type":"fixed","name":"f","size":3}"#, "\"AP8=\"", Err("2 bytes"));
    check(&logical("int", "date", ""), "\"2026-02-28\"", Ok("\"2026-02-28\""));
    check(&logical("int", "date", ""), "\"2026-02-30\"", Err("no date"));
    let at = "\"2026-01-02T03:04:05.678Z\"";
    check(
        &logical("long", "timestamp-millis", ""),
        at,
        Ok("\"2026-01-02T03:04:05.678000Z\""),
    );
    check(
        &logical("long", "timestamp-micros", ""),
        "\"2026-01-02T03:04:05+01:00\"",
        Ok("\"2026-01-02T02:04:05Z\""),
    );
    check(
        &logical("long", "local-timestamp-micros", ""),
        "\"2026-01-02T03:04:05\"",
        Ok("\"2026-01-02T03:04:05\""),
    );
    check(
        &logical("int", "time-millis", ""),
        "\"10:00:00.5\"",
        Ok("\"10:00:00.500000\""),
    );
    let uuid = "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
    check(&logical("string", "uuid", ""), uuid, Ok(uuid));
    check(
        r#"{"type":"enum","name":"e","symbols":["A","B"]}"#,
        "\"B\"",
        Ok("\"B\""),
    );
    check(
        r#"{"type":"enum","name":"e","symbols":["A","B"]}"#,
        "\"C\"",
        Err("no symbol 'C'"),
    );
    check(r#"{"type":"array","items":"int"}"#, "[1,2,3]", Ok("[1,2,3]"));
    check(
        r#"{"type":"map","values":["null","string"]}"#,
        r#"{"a":"x","b":null}"#,
        Ok(r#"{"a":"x","b":null}"#),
    );
    check(r#"["null","string"]"#, "null", Ok("null"));
    check(r#"["string","long"]"#, "7", Ok("7"));
    check(r#"["string","long"]"#, "null", Err("does not allow"));
    check(
        r#"{"type":"record","name":"i","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":5}]}"#,
        r#"{"x":1}"#,
        Ok(r#"{"x":1,"y":5}"#),
    );
    check("\"int\"", "null", Err("it is no whole number"));
}

#[test]
fn columns_follow_the_fields() {
    let schema = schema(
        r#"{"type":"record","name":"r","fields":[
            {"name":"a","type":"string"}, {"name":"b","type":["null","int"]}, {"name":"c","type":["int","string"]},
            {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
            {"name":"e","type":{"type":"array","items":"r"}}, {"name":"f","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#,
    );
    let found: Vec<String> = columns(&schema).iter().map(ToString::to_string).collect();
    let expected = [
        "a TEXT NOT NULL",
        "b INTEGER",
        "c JSON NOT NULL",
        "d DECIMAL(9,2) NOT NULL",
        "e JSON NOT NULL",
        "f TIMESTAMPTZ NOT NULL",
    ];
    assert_eq!(found, expected);
}

#[test]
fn columns_make_a_schema_that_has_them() {
    let column = |name: &str, column_type, nullable| Column::new(name, column_type, nullable);
    let wanted = vec![
        column("a", ColumnType::Text, false),
        column("b", ColumnType::Decimal(18, 2), true),
        column("c", ColumnType::Timestamp, true),
        column("d", ColumnType::Bytes, false),
    ];
    let made = schema(&schema_of("a.stream", &wanted).expect("a schema"));
    assert_eq!(columns(&made), wanted);
    assert!(schema_of("s", &[column("a b", ColumnType::Text, false)]).is_err());
}

#[test]
fn json_columns_are_strings_that_hold_json() {
    let schema = one("[\"null\",\"string\"]");
    let columns = [Column::new("v", ColumnType::Json, true)];
    for value in ["[1,{\"a\":2}]", "\"text\"", "7", "null"] {
        let row = format!("{{\"v\":{value}}}");
        let body = write(&schema, &row, &columns).expect("it is written");
        let mut out = String::new();
        read(&schema, &body, &columns, &mut out).expect("it is read");
        assert_eq!(out, row);
    }
}

#[test]
fn what_the_schema_has_no_field_for_is_refused() {
    let schema = one("\"int\"");
    let columns = [
        Column::new("v", ColumnType::Integer, false),
        Column::new("w", ColumnType::Text, true),
    ];
    assert!(
        write(&schema, r#"{"v":1,"w":"x"}"#, &columns)
            .expect_err("w is lost")
            .contains("'w'")
    );
    assert!(write(&schema, r#"{"v":1,"w":null,"other":1}"#, &columns).is_ok());
}

#[test]
fn hostile_bytes_are_refused() {
    let check = |field_type: &str, body: &[u8], why: &str| {
        let mut out = String::new();
        let found = read(&one(field_type), body, &[], &mut out).expect_err("it is no value");
        assert!(found.contains(why), "{field_type} {body:?}: {found}");
    };
    let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    check("\"string\"", &[], "too early");
    check("\"string\"", &[0xfe, 0xff, 0xff, 0xff, 0x0f], "too early");
    check("\"string\"", &[1], "negative");
    check("\"long\"", &[0xff; 11], "64 bits");
    check("\"boolean\"", &[2], "neither");
    check("[\"null\",\"int\"]", &[4], "no branch 2");
    check("\"null\"", &[0], "1 bytes stand behind");
    // 2^62 items that take no bytes.
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    check(&array("\"null\""), &many, "longer than");
    let list = schema(r#"{"type":"record","name":"l","fields":[{"name":"next","type":["null","l"]}]}"#);
    let mut out = String::new();
    let deep = read(&list, &[2; 100_000], &[], &mut out).expect_err("it is too deep");
    assert!(deep.contains("nested deeper"), "{deep}");
}

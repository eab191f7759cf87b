//! Values in Avro and Protobuf, which name their schemas by the ids of a registry. They are written here, byte by byte, as the specifications of
//! both say, so that what is to be read of them is known without reading them.

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_catalog::Catalog;
use headwater_host::simulated::Random;
use headwater_schemas::{Schema, SchemaType};

use super::events::{Made, Reads, TEXTS, amounts, doubles, made, moments, names, numbers, pick, text, timestamp};
use super::machine::WRITER;

/// The schemas, in the order in which they are registered: the first has the id 1.
const SCHEMAS: [(SchemaType, &str, &str); 2] = [
    (
        SchemaType::Avro,
        "g-value",
        r#"{"type": "record", "name": "g", "fields": [
            {"name": "id", "type": "long"},
            {"name": "name", "type": ["null", "string"]},
            {"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}]},
            {"name": "x", "type": ["null", "double"]},
            {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}]}"#,
    ),
    (
        SchemaType::Protobuf,
        "h-value",
        "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message h {
            optional string who = 1; optional int64 n = 2; google.protobuf.Timestamp at = 3; optional double x = 4; }",
    ),
];
const AVRO_ID: u32 = 1;
const PROTOBUF_ID: u32 = 2;
/// Nobody registered it.
const NO_ID: u32 = 77;

/// Registers the schemas, before any event.
pub async fn register(catalog: &Catalog) -> Result<(), String> {
    for (id, (schema_type, subject, schema)) in (1..).zip(SCHEMAS) {
        let schema = Schema {
            schema_type,
            text: schema.to_owned(),
            references: Vec::new(),
        };
        let registered = catalog.schemas().register(subject, schema, WRITER).await;
        let version = registered.map_err(|error| format!("{subject} is not registered: {error}"))?;
        assert_eq!(version.registered.id, id, "{subject}");
    }
    Ok(())
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [[0].as_slice(), &id.to_be_bytes(), body].concat()
}

/// Seven bits a byte, the lowest first.
fn put_varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// A whole number in Avro: zigzag, then seven bits a byte.
fn put_long(number: i64, into: &mut Vec<u8>) {
    put_varint(((number << 1) ^ (number >> 63)) as u64, into);
}

fn put_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    put_long(bytes.len() as i64, into);
    into.extend_from_slice(bytes);
}

/// A value of a union of null and its type.
fn put_avro(value: &ScalarValue, into: &mut Vec<u8>) {
    put_long(i64::from(!value.is_null()), into);
    match value {
        ScalarValue::Utf8(Some(text)) => put_bytes(text.as_bytes(), into),
        // Big endian, two's complement; more bytes than needed are allowed.
        ScalarValue::Decimal128(Some(unscaled), ..) => put_bytes(&unscaled.to_be_bytes(), into),
        ScalarValue::Float64(Some(double)) => into.extend_from_slice(&double.to_le_bytes()),
        ScalarValue::TimestampMicrosecond(Some(us), _) => put_long(*us, into),
        _ => {}
    }
}

/// Avro.
pub fn of_g(random: &mut Random) -> Made {
    let at = timestamp(random);
    let id = random.below(5) as i64 - 1;
    let key = id.to_string();
    let values = vec![
        ScalarValue::from(id),
        names(random).2,
        amounts(random).2,
        doubles(random).2,
        moments(random).2,
    ];
    let mut body = Vec::new();
    put_long(id, &mut body);
    values[1..].iter().for_each(|value| put_avro(value, &mut body));
    let unfit = match random.below(20) {
        0 | 1 => {
            return made(
                Some(key.as_str()),
                None,
                at,
                Reads::Tombstone(vec![ScalarValue::from(id)]),
            );
        }
        2 => Some(framed(NO_ID, &body)),
        3 => Some(framed(PROTOBUF_ID, &body)),
        4 => Some(framed(AVRO_ID, &body[..body.len() / 2])),
        5 => Some(b"{\"id\":1}".to_vec()),
        _ => None,
    };
    match unfit {
        Some(value) => made(Some(key.as_str()), Some(value.as_slice()), at, Reads::Nothing),
        None => made(
            Some(key.as_str()),
            Some(framed(AVRO_ID, &body).as_slice()),
            at,
            Reads::Row(values),
        ),
    }
}

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;

fn put_tag(field: u64, wire_type: u64, into: &mut Vec<u8>) {
    put_varint((field << 3) | wire_type, into);
}

fn put_message(field: u64, bytes: &[u8], into: &mut Vec<u8>) {
    put_tag(field, LENGTH, into);
    put_varint(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

/// A field that is set; one that is NULL is not there.
fn put_protobuf(field: u64, value: &ScalarValue, into: &mut Vec<u8>) {
    match value {
        ScalarValue::Utf8(Some(text)) => put_message(field, text.as_bytes(), into),
        ScalarValue::Int64(Some(number)) => {
            put_tag(field, VARINT, into);
            put_varint(*number as u64, into);
        }
        ScalarValue::Float64(Some(double)) => {
            put_tag(field, EIGHT_BYTES, into);
            into.extend_from_slice(&double.to_le_bytes());
        }
        ScalarValue::TimestampMicrosecond(Some(us), _) => {
            let mut moment = Vec::new();
            put_protobuf(1, &ScalarValue::from(us.div_euclid(1_000_000)), &mut moment);
            put_protobuf(2, &ScalarValue::from(us.rem_euclid(1_000_000) * 1_000), &mut moment);
            put_message(field, &moment, into);
        }
        _ => {}
    }
}

/// Protobuf.
pub fn of_h(random: &mut Random) -> Made {
    let at = timestamp(random);
    let who = (random.below(8) > 0).then(|| TEXTS[random.below(6)]);
    let values = vec![
        ScalarValue::Utf8(who.map(str::to_owned)),
        numbers(random).2,
        moments(random).2,
        doubles(random).2,
    ];
    // Behind the id stands which message it is: the first.
    let mut body = vec![0];
    let mut fields: Vec<(u64, &ScalarValue)> = (1..).zip(&values).collect();
    if random.coin() {
        // In any order.
        fields.reverse();
    }
    fields
        .iter()
        .for_each(|(field, value)| put_protobuf(*field, value, &mut body));
    if random.below(5) == 0 {
        // A field that the schema does not have is passed by.
        put_message(9, "unknown".as_bytes(), &mut body);
    }
    let unfit = match (random.below(16), who) {
        (0 | 1, Some(who)) => return made(Some(who), None, at, Reads::Tombstone(vec![text(who)])),
        (2, _) => Some(framed(NO_ID, &body)),
        (3, _) => Some(framed(PROTOBUF_ID, &[0, (1 << 3) | LENGTH as u8, 200])),
        (4, _) => Some(pick(random, &[Bytes::from_static(b"{}"), Bytes::new()]).to_vec()),
        _ => None,
    };
    match unfit {
        Some(value) => made(who, Some(value.as_slice()), at, Reads::Nothing),
        None => made(who, Some(framed(PROTOBUF_ID, &body).as_slice()), at, Reads::Row(values)),
    }
}

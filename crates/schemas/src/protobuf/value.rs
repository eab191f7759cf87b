//! Messages as JSON (Protobuf's own mapping, with the fields' names as they are declared) and back, with their place in the schema before them.

use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};

use super::ProtobufSchema;

/// The most indexes before a message: how deep messages are declared in messages.
const INDEXES_MAX: u64 = 64;

impl ProtobufSchema {
    /// The JSON of a framed value's body: the message's place, then the message.
    pub fn json(&self, body: &[u8]) -> Result<String, String> {
        let (indexes, bytes) = place(body).ok_or("the indexes of its message are cut off or malformed")?;
        let message = self
            .message(&indexes)
            .ok_or_else(|| format!("its schema has no message at {indexes:?}"))?;
        let name = message.full_name().to_owned();
        let message =
            DynamicMessage::decode(message, bytes).map_err(|error| format!("it is no message {name}: {error}"))?;
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false)
            .stringify_64_bit_integers(false);
        let mut json: Vec<u8> = Vec::with_capacity(bytes.len() * 2);
        message
            .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
            .map_err(|error| format!("the message {name} cannot be written as JSON: {error}"))?;
        String::from_utf8(json).map_err(|error| error.to_string())
    }

    /// The body of the schema's first message from its JSON; fields that the message does not have are ignored.
    pub fn write(&self, json: &str) -> Result<Vec<u8>, String> {
        let message = self.message(&[0]).ok_or("its schema has no message")?;
        let name = message.full_name().to_owned();
        let options = prost_reflect::DeserializeOptions::new().deny_unknown_fields(false);
        let mut reader = serde_json::Deserializer::from_str(json);
        let message = DynamicMessage::deserialize_with_options(message, &mut reader, &options)
            .map_err(|error| format!("it is no message {name}: {error}"))?;
        // One 0 stands for the first message.
        let mut body: Vec<u8> = vec![0];
        body.extend_from_slice(&message.encode_to_vec());
        Ok(body)
    }
}

/// The indexes before a message, and the message.
fn place(body: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (count, mut rest) = varint(body)?;
    if count == 0 {
        return Some((vec![0], rest));
    }
    let mut indexes: Vec<usize> = Vec::new();
    for _ in 0..u64::try_from(count).ok().filter(|count| *count <= INDEXES_MAX)? {
        let (index, after) = varint(rest)?;
        indexes.push(usize::try_from(index).ok()?);
        rest = after;
    }
    Some((indexes, rest))
}

/// A zigzag varint of at most 32 bits.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let signed = (value >> 1) as i64 ^ -((value & 1) as i64);
            return Some((signed, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        message Order {
            message Line { string item = 1; int32 count = 2; }
            string id = 1;
            int64 cents = 2;
            optional string note = 3;
            repeated Line lines = 4;
            google.protobuf.Timestamp at = 5;
            bytes raw = 6;
        }
        message Other { bool yes = 1; }
    "#;

    #[test]
    fn messages_come_back() {
        let schema = ProtobufSchema::parse(TEXT, &[]).expect("it is a schema");
        let json = r#"{"id":"o1","cents":"9007199254740993","lines":[{"item":"a","count":2}],"at":"2026-01-02T03:04:05Z","raw":"AP8=","unknown":[1]}"#;
        let body = schema.write(json).expect("it is a message");
        assert_eq!(body[0], 0);
        let read: serde_json::Value = serde_json::from_str(&schema.json(&body).expect("it is read")).expect("JSON");
        assert_eq!(read["cents"], 9_007_199_254_740_993_i64);
        assert_eq!(read["lines"][0]["item"], "a");
        assert_eq!(read["at"], "2026-01-02T03:04:05Z");
        assert_eq!(read["raw"], "AP8=");
        assert!(read.get("note").is_none());
    }

    #[test]
    fn a_message_is_found_by_its_place() {
        let schema = ProtobufSchema::parse(TEXT, &[]).expect("it is a schema");
        // Order.Line: two indexes, 0 and 0; then item = "a".
        assert_eq!(
            schema.json(&[4, 0, 0, 10, 1, b'a']).expect("it is read"),
            r#"{"item":"a","count":0}"#
        );
        assert_eq!(schema.json(&[2, 2, 8, 1]).expect("it is read"), r#"{"yes":true}"#);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let schema = ProtobufSchema::parse(TEXT, &[]).expect("it is a schema");
        for body in [
            [].as_slice(),
            &[0x80],
            &[0xff; 9],
            &[0xfe, 0xff, 0xff, 0xff, 0x0f],
            &[2, 40],
            &[0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
            &[0, 10, 1, 0xff],
        ] {
            assert!(schema.json(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_descriptor_is_a_text() {
        let text = ProtobufSchema::parse(TEXT, &[]).expect("it is a schema");
        let again = ProtobufSchema::parse(&text.serialized(), &[]).expect("it is a schema");
        assert_eq!(again.identity(), text.identity());
    }

    #[test]
    fn imports_are_found_and_nesting_is_bounded() {
        let other = "syntax = \"proto3\"; package o; message Item { string name = 1; }";
        let text = "syntax = \"proto3\"; import \"item.proto\"; message M { o.Item item = 1; }";
        assert!(ProtobufSchema::parse(text, &[("item.proto", other)]).is_ok());
        assert!(ProtobufSchema::parse(text, &[]).is_err());
        let deep = format!("syntax = \"proto3\"; {}{}", "message M {".repeat(100), "}".repeat(100));
        assert!(
            ProtobufSchema::parse(&deep, &[])
                .expect_err("it is too deep")
                .contains("nested")
        );
    }
}

//! Whether a reader's messages understand what a writer's wrote: the numbers and wire types of their fields.
//!
//! | change | reads |
//! | --- | --- |
//! | a field, an enum value or an enum is new, gone, or has another name | yes: unknown fields are skipped, missing ones have their defaults |
//! | `int32`, `uint32`, `int64`, `uint64` and `bool`; `sint32` and `sint64`; `fixed32` and `sfixed32`; `fixed64` and `sfixed64`; `string` and `bytes` | yes, one for the other |
//! | a message is gone, a field has another type, a number is repeated or no longer repeated | no |
//! | a `required` field is new or gone, a field leaves its `oneof`, or two that were free come into one | no |
//! | the package is another | no |

use std::collections::HashSet;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use super::ProtobufSchema;

impl ProtobufSchema {
    /// Why this schema does not read what the writer's wrote; nothing where it does.
    pub(crate) fn obstacles(&self, writer: &ProtobufSchema) -> Vec<String> {
        let mut comparing = Comparing::default();
        comparing.files(&self.file, &writer.file);
        comparing.why
    }
}

#[derive(Default)]
struct Comparing {
    why: Vec<String>,
    /// Pairs of messages, by their full names.
    compared: HashSet<(String, String)>,
    /// Those that wait for their turn.
    waiting: Vec<(MessageDescriptor, MessageDescriptor)>,
}

impl Comparing {
    fn files(&mut self, reader: &FileDescriptor, writer: &FileDescriptor) {
        if reader.package_name() != writer.package_name() {
            let (reader, writer) = (reader.package_name(), writer.package_name());
            self.why.push(format!("the package is '{reader}' and was '{writer}'"));
            return;
        }
        for written in writer.messages() {
            match reader.messages().find(|message| message.name() == written.name()) {
                Some(message) => self.later(&message, &written),
                None => self.why.push(format!("the message '{}' is gone", written.full_name())),
            }
        }
        while let Some((reader, writer)) = self.waiting.pop() {
            self.messages(&reader, &writer);
        }
    }

    fn later(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let pair = (reader.full_name().to_owned(), writer.full_name().to_owned());
        if self.compared.insert(pair) {
            self.waiting.push((reader.clone(), writer.clone()));
        }
    }

    fn messages(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let name = writer.full_name();
        for written in writer.fields() {
            match reader.get_field(written.number()) {
                Some(field) => self.fields(&field, &written),
                None if written.is_required() => {
                    self.why
                        .push(format!("the required field '{}' of '{name}' is gone", written.name()));
                }
                None if real_oneof(&written).is_some() => {
                    self.why.push(format!(
                        "the field '{}' is gone from its oneof in '{name}'",
                        written.name()
                    ));
                }
                None => {}
            }
        }
        for field in reader.fields() {
            if field.is_required() && writer.get_field(field.number()).is_none() {
                self.why
                    .push(format!("the required field '{}' of '{name}' is new", field.name()));
            }
        }
        for oneof in reader.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let moved = |field: &FieldDescriptor| {
                let written = writer.get_field(field.number());
                written.is_some_and(|written| real_oneof(&written).is_none())
            };
            let moved: Vec<FieldDescriptor> = oneof.fields().filter(moved).collect();
            if moved.len() > 1 {
                self.why.push(format!(
                    "the fields '{}' and '{}' of '{name}' came into one oneof",
                    moved[0].name(),
                    moved[1].name()
                ));
            }
        }
        for written in writer.child_messages().filter(|message| !message.is_map_entry()) {
            match reader.child_messages().find(|message| message.name() == written.name()) {
                Some(message) => self.later(&message, &written),
                None => self.why.push(format!("the message '{}' is gone", written.full_name())),
            }
        }
    }

    fn fields(&mut self, reader: &FieldDescriptor, writer: &FieldDescriptor) {
        let place = format!("field {} of '{}'", writer.number(), writer.parent_message().full_name());
        if reader.is_required() != writer.is_required() {
            self.why.push(format!("{place}: required is new or gone"));
        }
        let (read, written) = (reader.kind(), writer.kind());
        if reader.is_list() != writer.is_list() && is_number(&read) {
            self.why.push(format!("{place}: it is repeated in one of the schemas"));
        }
        match (&read, &written) {
            (Kind::Message(read), Kind::Message(written)) if reader.is_map() && writer.is_map() => {
                self.fields(&read.map_entry_key_field(), &written.map_entry_key_field());
                self.fields(&read.map_entry_value_field(), &written.map_entry_value_field());
            }
            (Kind::Message(read), Kind::Message(written)) if read.name() == written.name() => {
                self.later(read, written);
            }
            (Kind::Enum(read), Kind::Enum(written)) if read.name() == written.name() => {}
            (read, written) => match (group(read), group(written)) {
                (Some(read), Some(written)) if read == written => {}
                _ => self.why.push(format!("{place}: it is {read:?} and was {written:?}")),
            },
        }
    }
}

/// The oneof that a field stands in; what `optional` makes is none.
fn real_oneof(field: &FieldDescriptor) -> Option<prost_reflect::OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

fn is_number(kind: &Kind) -> bool {
    !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes)
}

/// Scalars that are read for each other.
fn group(kind: &Kind) -> Option<u8> {
    Some(match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Bool => 1,
        Kind::Sint32 | Kind::Sint64 => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::String | Kind::Bytes => 5,
        Kind::Double => 6,
        Kind::Float => 7,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(body: &str) -> ProtobufSchema {
        let text = format!("syntax = \"proto3\"; package p; {body}");
        ProtobufSchema::parse(&text, &[]).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn check(reader: &str, writer: &str, expected: Option<&str>) {
        let why = schema(reader).obstacles(&schema(writer));
        match expected {
            None => assert!(why.is_empty(), "{reader} of {writer}: {why:?}"),
            Some(part) => assert!(
                why.iter().any(|why| why.contains(part)),
                "{reader} of {writer}: {why:?}"
            ),
        }
    }

    #[test]
    fn fields() {
        let message = |fields: &str| format!("message M {{ {fields} }}");
        let a = "int32 a = 1;";
        check(&message(&format!("{a} string b = 2;")), &message(a), None);
        check(&message(a), &message(&format!("{a} string b = 2;")), None);
        check(&message("int64 renamed = 1;"), &message(a), None);
        check(&message("string a = 1;"), &message(a), Some("field 1 of 'p.M'"));
        check(&message("sint32 a = 1;"), &message(a), Some("field 1 of"));
        check(&message("bytes a = 1;"), &message("string a = 1;"), None);
        check(&message("repeated int32 a = 1;"), &message(a), Some("repeated"));
        check(&message("repeated string a = 1;"), &message("string a = 1;"), None);
        check(
            &message("map<string, int32> a = 1;"),
            &message("map<string, int64> a = 1;"),
            None,
        );
        check(
            &message("map<string, int32> a = 1;"),
            &message("map<string, string> a = 1;"),
            Some("AEntry"),
        );
        check(&message("optional int32 a = 1;"), &message(a), None);
    }

    #[test]
    fn messages_and_oneofs() {
        check(
            "message A { B b = 1; } message B { A a = 1; }",
            "message A { B b = 1; } message B { A a = 1; }",
            None,
        );
        check("message A {}", "message A {} message B {}", Some("'p.B' is gone"));
        check(
            "message A { message I { int32 x = 1; } I i = 1; }",
            "message A { message I { string x = 1; } I i = 1; }",
            Some("p.A.I"),
        );
        check(
            "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            "message M { int32 a = 1; int32 b = 2; }",
            Some("came into one oneof"),
        );
        check(
            "message M { oneof o { int32 a = 1; } }",
            "message M { int32 a = 1; }",
            None,
        );
        check(
            "message M { oneof o { int32 a = 1; } }",
            "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            Some("gone from its oneof"),
        );
        check(
            "message M { E e = 1; } enum E { Z = 0; }",
            "message M { E e = 1; } enum E { Z = 0; Y = 1; }",
            None,
        );
    }

    #[test]
    fn required_and_package() {
        let two = |text: &str| ProtobufSchema::parse(&format!("syntax = \"proto2\"; {text}"), &[]).expect("a schema");
        let (with, without) = (two("message M { required int32 a = 1; }"), two("message M {}"));
        assert_eq!(with.obstacles(&without).len(), 1);
        assert_eq!(without.obstacles(&with).len(), 1);
        let other = ProtobufSchema::parse("syntax = \"proto3\"; package q; message M {}", &[]).expect("a schema");
        assert!(other.obstacles(&schema("message M {}"))[0].contains("package"));
    }
}

//! Protobuf schemas: a file of messages, compiled from its text or from its descriptor.
//!
//! A client registers the text of a `.proto` file, or its `FileDescriptorProto` in base64. Both are compiled here with what the file imports: those that
//! it refers to, by the names of its imports, and Google's own, which are always there.

mod compatibility;
mod value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};
use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use protox::Compiler;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::limits::PROTOBUF_NESTING_MAX;

/// How the file is called whose text a schema is.
const FILE: &str = "schema.proto";

/// A schema with all that it refers to.
#[derive(Debug)]
pub struct ProtobufSchema {
    file: FileDescriptor,
}

/// What a field of a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are Protobuf's; Int32 and Int64 stand for all that hold those numbers"
)]
pub enum FieldKind {
    Boolean,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Float,
    Double,
    /// A string, or what Protobuf's JSON writes as one: an enum, a duration.
    Text,
    Bytes,
    Timestamp,
    /// A message, a list or a map.
    Nested,
}

impl ProtobufSchema {
    /// Parses a schema; `needs` are the files that it imports by these names, with their texts.
    pub fn parse(text: &str, needs: &[(&str, &str)]) -> Result<ProtobufSchema, String> {
        let texts = needs.iter().map(|(_, text)| *text).chain([text]);
        for text in texts {
            check_nesting(text)?;
        }
        let mut compiler = Compiler::with_file_resolver(Files {
            text: text.to_owned(),
            needs: needs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        });
        compiler.include_imports(true).include_source_info(false);
        compiler.open_file(FILE).map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(FILE).ok_or("it has no messages")?;
        Ok(ProtobufSchema { file })
    }

    /// What it means, without the accidents of its text.
    pub(crate) fn identity(&self) -> String {
        let mut file = self.descriptor();
        file.message_type.iter_mut().for_each(unnamed);
        STANDARD.encode(file.encode_to_vec())
    }

    /// Its `FileDescriptorProto` in base64.
    pub fn serialized(&self) -> String {
        STANDARD.encode(self.descriptor().encode_to_vec())
    }

    /// What it compiles to, without its places in the text.
    fn descriptor(&self) -> FileDescriptorProto {
        FileDescriptorProto {
            source_code_info: None,
            ..self.file.file_descriptor_proto().clone()
        }
    }

    /// The fields of the first message, with what they hold and whether they may be unset.
    pub fn fields(&self) -> Vec<(String, FieldKind, bool)> {
        let Some(message) = self.message(&[0]) else {
            return Vec::new();
        };
        let field = |field: FieldDescriptor| {
            (
                field.name().to_owned(),
                field_kind(&field),
                field.supports_presence() && !field.is_required(),
            )
        };
        message.fields().map(field).collect()
    }

    /// The message that indexes lead to: the first of the file's, then of those in it, and so on.
    pub fn message(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (first, rest) = indexes.split_first()?;
        let mut message = self.file.messages().nth(*first)?;
        for index in rest {
            let inner = message.child_messages().nth(*index)?;
            message = inner;
        }
        Some(message)
    }
}

/// Takes away what one compiler writes of a field and another leaves to be worked out: its name in JSON. As deep as the compiler let messages be nested.
fn unnamed(message: &mut DescriptorProto) {
    for field in &mut message.field {
        field.json_name = None;
    }
    message.nested_type.iter_mut().for_each(unnamed);
}

fn field_kind(field: &FieldDescriptor) -> FieldKind {
    if field.is_list() || field.is_map() {
        return FieldKind::Nested;
    }
    match field.kind() {
        Kind::Bool => FieldKind::Boolean,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => FieldKind::Int32,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => FieldKind::Int64,
        Kind::Uint32 | Kind::Fixed32 => FieldKind::Uint32,
        Kind::Uint64 | Kind::Fixed64 => FieldKind::Uint64,
        Kind::Float => FieldKind::Float,
        Kind::Double => FieldKind::Double,
        Kind::String | Kind::Enum(_) => FieldKind::Text,
        Kind::Bytes => FieldKind::Bytes,
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => FieldKind::Timestamp,
            "google.protobuf.Duration" | "google.protobuf.StringValue" => FieldKind::Text,
            "google.protobuf.BoolValue" => FieldKind::Boolean,
            "google.protobuf.Int32Value" => FieldKind::Int32,
            "google.protobuf.Int64Value" => FieldKind::Int64,
            "google.protobuf.UInt32Value" => FieldKind::Uint32,
            "google.protobuf.UInt64Value" => FieldKind::Uint64,
            "google.protobuf.FloatValue" => FieldKind::Float,
            "google.protobuf.DoubleValue" => FieldKind::Double,
            "google.protobuf.BytesValue" => FieldKind::Bytes,
            _ => FieldKind::Nested,
        },
    }
}

/// The files of a compilation.
struct Files {
    text: String,
    needs: Vec<(String, String)>,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == FILE {
            return file(name, &self.text);
        }
        match self.needs.iter().find(|(known, _)| known == name) {
            Some((_, text)) => file(name, text),
            None => GoogleFileResolver::new().open_file(name),
        }
    }
}

/// A file from its text, or from its descriptor, which goes by the name that it is asked for.
fn file(name: &str, text: &str) -> Result<File, protox::Error> {
    match descriptor(text) {
        None => File::from_source(name, text),
        Some(bytes) => {
            let file = File::decode_file_descriptor_proto(bytes.as_slice()).map_err(protox::Error::new)?;
            let mut descriptor = file.file_descriptor_proto().clone();
            descriptor.name = Some(name.to_owned());
            descriptor.source_code_info = None;
            Ok(File::from_file_descriptor_proto(descriptor))
        }
    }
}

/// The bytes of a descriptor in base64. No text of a file is that: it would need a `;` or a brace.
fn descriptor(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok().filter(|bytes| !bytes.is_empty())
}

/// The parser goes down with brackets; so far it may.
fn check_nesting(text: &str) -> Result<(), String> {
    let mut depth: usize = 0;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'<' | b'(' => depth += 1,
            b'}' | b']' | b'>' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > PROTOBUF_NESTING_MAX {
            return Err(format!("its brackets are nested deeper than {PROTOBUF_NESTING_MAX}"));
        }
    }
    Ok(())
}

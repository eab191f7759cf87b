//! Every bound of the registry, with its reason.

/// The most bytes of one schema's text: with what JSON adds to it, it is one event, for which the log has 1 MiB where nothing else is said. The largest
/// schemas in use (industry standards in XML's manner) have some hundred kilobytes.
pub const SCHEMA_BYTES_MAX: usize = 512 << 10;
/// The most bytes of all texts: they stay in memory.
pub const SCHEMAS_BYTES_MAX: usize = 256 << 20;
/// The most references of one schema, and the most that it comes to with theirs: each is parsed with it.
pub const REFERENCES_MAX: usize = 100;
/// The stack on which Avro schemas are parsed that refer to others: 100 texts, each nested as deep as JSON may be. Only what is used of it is memory.
pub(crate) const AVRO_STACK_BYTES: usize = 256 << 20;
/// The most bytes of a subject: a topic's name and what a naming strategy puts behind it.
pub const SUBJECT_BYTES_MAX: usize = 512;
/// How deep the text of a Protobuf schema may nest its brackets: its parser goes down with them. Messages in messages are rarely five deep.
pub const PROTOBUF_NESTING_MAX: usize = 64;
/// How deep a comparison follows types in types, so that no schemas exhaust the stack.
pub const NESTING_MAX: usize = 128;
/// How many pairs of JSON schemas one comparison looks at: alternatives are tried with each other.
pub const JSON_PAIRS_MAX: usize = 100_000;
/// How many bytes of the registry's stream are read at a time.
pub(crate) const READ_BYTES: usize = 1 << 20;

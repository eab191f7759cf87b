//! Every bound of a definition, with its reason.

/// The most columns of `TAGS (…)`: every event is entered in the index once for each.
pub const TAGS_MAX: usize = 16;
/// The most bytes of JSON that one value in Avro becomes: a few of its bytes may stand for many items that take none.
pub(crate) const VALUE_JSON_BYTES_MAX: usize = 32 << 20;
/// How deep a value in Avro is nested: what reads its JSON goes as deep.
pub(crate) const VALUE_NESTING_MAX: usize = crate::value::json::DEPTH_MAX;
/// How many parts of one value are tried as it is written in Avro: branches of unions in branches of unions multiply.
pub(crate) const WRITE_STEPS_MAX: usize = 10_000_000;

//! The streams that the program keeps for itself, found by name like any other.

use headwater_eventlog::Lacking;

use crate::{Column, ColumnType, StreamDefinition};

/// The stream of definitions.
pub const CATALOG_STREAM: &str = "_headwater.catalog";

/// The stream of values that did not fit their stream's schema.
pub const PARKED_STREAM: &str = "_headwater.parked";

/// The prefix of the names that are ours.
pub const INTERNAL_PREFIX: &str = "_headwater.";

/// The streams that are created when the catalog opens, with their definitions.
pub(crate) fn created_at_open() -> [StreamDefinition; 2] {
    [StreamDefinition::schema_free(CATALOG_STREAM, 1), parked()]
}

/// One event for each value that did not fit its stream's schema: where it stands, why, and the value itself,
/// as text (where it is no UTF-8: `\x` and hex). `reader` is the view or pipeline that could not take it; NULL: it does not fit the columns. `state` is
/// `parked`, or `replayed` where the event was taken after all: the last record of an address and a reader counts.
fn parked() -> StreamDefinition {
    let column = |name: &str, column_type, nullable| Column::new(name, column_type, nullable);
    StreamDefinition {
        columns: Some(vec![
            column("stream", ColumnType::Text, false),
            column("partition", ColumnType::Integer, false),
            column("offset", ColumnType::BigInt, false),
            column("reader", ColumnType::Text, true),
            Column {
                default: Some(r#""parked""#.to_owned()),
                ..column("state", ColumnType::Text, false)
            },
            column("reason", ColumnType::Text, false),
            column("value", ColumnType::Text, true),
        ]),
        ..StreamDefinition::schema_free(PARKED_STREAM, 1)
    }
}

/// What becomes of a stream in a copy of a history of which it no longer has all: the program's own that keep the newest of each key alone can be done
/// without, and others come with gaps where somebody takes them so.
pub fn lacking(stream: &str, takes_gaps: bool) -> Lacking {
    match stream.starts_with(INTERNAL_PREFIX) {
        _ if stream == CATALOG_STREAM => Lacking::Refused,
        true => Lacking::LeftOut,
        false if takes_gaps => Lacking::WithGaps,
        false => Lacking::Refused,
    }
}

//! Planted bugs: with each of them the oracle must object. One that it does not see would hide a real one.
//!
//! Some are in the stores. Some are in the views: what is folded is another query than the one that is compared with. Some are in what is expected of
//! the events: the reading is right, and is compared with what a reading with that bug would give.

use datafusion::common::ScalarValue;

use super::events::Reads;

/// A bug planted into a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A commit of a store leaves out one of its rows,
    RowLost,
    /// or all of them,
    RowsLost,
    /// or does not take place at all, and says that it did.
    CommitLost,
    /// A commit has its rows and the position of the one before: events are folded twice.
    PositionBehind,
    /// A row is read as it was before it changed.
    OldRowRead,
    /// A scan ends one row early.
    ScanShort,
    /// Where edges lead to is not committed.
    LinksLost,
    /// A row is rewound from a snapshot that is too new.
    SnapshotTooNew,
    /// Checkpoints stand elsewhere than they say.
    CheckpointsSetBack,
    /// Rows are appended to a table twice,
    TableDoubled,
    /// or without the position that they stand at,
    TableBehind,
    /// or beside those whose place they take.
    RowsNotReplaced,
    /// `count(n)` counts what is NULL.
    NullCounted,
    /// Tombstones delete nothing.
    TombstonesPassedBy,
    /// The newest row is the one that its writer says is the newest.
    OrderOfWriters,
    /// One part of a UNION ALL is left out.
    PartLeftOut,
    /// A HAVING lets everything through.
    HavingForgotten,
    /// An event that does not fit is a row of which nothing is known.
    UnfitTaken,
    /// A time zone is not looked at.
    ZoneForgotten,
    /// A long text is cut.
    TextCut,
    /// An empty text is NULL.
    EmptyIsNull,
    /// A whole number goes through a floating point number.
    ThroughDouble,
    /// Negative zero loses its sign.
    SignLost,
    /// Events without a key are passed by.
    KeylessPassedBy,
    /// Of a pipeline, what it has appended is appended again after a restart.
    ResultsTwice,
}

impl Bug {
    /// Every kind.
    pub const ALL: [Bug; 25] = [
        Bug::RowLost,
        Bug::RowsLost,
        Bug::CommitLost,
        Bug::PositionBehind,
        Bug::OldRowRead,
        Bug::ScanShort,
        Bug::LinksLost,
        Bug::SnapshotTooNew,
        Bug::CheckpointsSetBack,
        Bug::TableDoubled,
        Bug::TableBehind,
        Bug::RowsNotReplaced,
        Bug::NullCounted,
        Bug::TombstonesPassedBy,
        Bug::OrderOfWriters,
        Bug::PartLeftOut,
        Bug::HavingForgotten,
        Bug::UnfitTaken,
        Bug::ZoneForgotten,
        Bug::TextCut,
        Bug::EmptyIsNull,
        Bug::ThroughDouble,
        Bug::SignLost,
        Bug::KeylessPassedBy,
        Bug::ResultsTwice,
    ];

    /// What is compared with in place of a view's query in batch.
    pub fn of_batch(self, batch: &str) -> String {
        match self {
            Bug::NullCounted => batch.replace("count(n)", "count(*) AS counted"),
            Bug::OrderOfWriters => batch
                .replace("ORDER BY _appended_at", "ORDER BY _timestamp")
                .replace("false AS gone, _appended_at", "false AS gone, _timestamp, _appended_at")
                .replace("n, false, _appended_at", "n, false, _timestamp, _appended_at")
                .replace("true, _appended_at", "true, _timestamp, _appended_at"),
            Bug::PartLeftOut => batch.replace("FROM b WHERE n IS NOT NULL", "FROM b WHERE false"),
            Bug::HavingForgotten => batch.split(" HAVING ").next().unwrap_or(batch).to_owned(),
            _ => batch.to_owned(),
        }
    }

    /// What is expected of an event with these values in these columns.
    pub fn of_reading(self, reads: &Reads, key_is_there: bool, columns: &[&str]) -> Reads {
        let changed = |change: &dyn Fn(&str, &ScalarValue) -> Option<ScalarValue>| match reads {
            Reads::Row(values) => {
                let change =
                    |(name, value): (&&str, &ScalarValue)| change(name, value).unwrap_or_else(|| value.clone());
                Reads::Row(columns.iter().zip(values).map(change).collect())
            }
            other => other.clone(),
        };
        let text = |change: fn(&str) -> Option<String>| {
            changed(&|_, value| match value {
                ScalarValue::Utf8(Some(text)) => Some(ScalarValue::Utf8(change(text))),
                _ => None,
            })
        };
        match self {
            Bug::UnfitTaken if *reads == Reads::Nothing => Reads::Row(Vec::new()),
            Bug::TombstonesPassedBy if matches!(reads, Reads::Tombstone(_)) => Reads::Nothing,
            Bug::KeylessPassedBy if !key_is_there => Reads::Nothing,
            Bug::ZoneForgotten => changed(&|name, value| match value {
                // 2025-11-23T10:00:00Z, which some wrote as 11:00 in Berlin.
                ScalarValue::TimestampMicrosecond(Some(us), None) if name == "at" => {
                    Some(ScalarValue::TimestampMicrosecond(Some(us + 3_600_000_000), None))
                }
                _ => None,
            }),
            Bug::TextCut => text(|text| Some(text.chars().take(40).collect())),
            Bug::EmptyIsNull => text(|text| (!text.is_empty()).then(|| text.to_owned())),
            Bug::ThroughDouble => changed(&|_, value| match value {
                ScalarValue::Int64(Some(number)) => Some(ScalarValue::Int64(Some(*number as f64 as i64))),
                _ => None,
            }),
            Bug::SignLost => changed(&|_, value| match value {
                ScalarValue::Float64(Some(double)) if *double == 0.0 => Some(ScalarValue::Float64(Some(0.0))),
                _ => None,
            }),
            _ => reads.clone(),
        }
    }
}

//! The shapes of materialized views, and how each is kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shape a materialized view is stored in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Rows by key.
    Document,
    /// Rows by key, and an index over their words.
    Search(Vec<SearchField>),
    /// Rows that are edges.
    Graph {
        /// The column that an edge goes out from.
        source: String,
        /// The column that it leads to.
        destination: String,
    },
    /// A table of column files that others read.
    Columnar {
        /// The columns whose values make folders.
        partitioned_by: Vec<String>,
        /// Where the table lies; `None`: in the view's folder.
        location: Option<String>,
    },
    /// Rows in memory alone.
    Memory,
}

/// A column of a search view, as it is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchField {
    /// The column.
    pub name: String,
    /// How its values are taken.
    pub kind: SearchKind,
}

/// How the values of a column are searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchKind {
    /// `TEXT`, `TEXT 'german'`: words, without accents and case, reduced to their stems where a language is given.
    Text(Option<String>),
    /// `KEYWORD`: the value whole; a facet.
    Keyword,
    /// `NUMBER`: ranges.
    Number,
    /// `DATE`: ranges.
    Date,
}

/// How a view is kept; `None`: as the program is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViewSettings {
    /// `freshness`: after so many milliseconds at most what was folded can be searched.
    pub freshness_ms: Option<u64>,
    /// `every`: how often changed rows are merged into a columnar table, in milliseconds.
    pub every_ms: Option<u64>,
    /// `memory`: the most bytes of a memory image.
    pub memory_bytes: Option<u64>,
    /// `checkpoints`: after so many events all rows are kept as they are then; 0: never.
    pub checkpoint_events: Option<u64>,
    /// `keep_versions`: how long old versions of a columnar table can be read, in milliseconds.
    pub keep_versions_ms: Option<u64>,
    /// `may_lose_events`: it may be built anew also where its streams no longer keep events that went into its rows.
    #[serde(default)]
    pub may_lose_events: bool,
}

impl Shape {
    /// The word behind STORED AS.
    pub fn word(&self) -> &'static str {
        match self {
            Shape::Document => "document",
            Shape::Search(_) => "search",
            Shape::Graph { .. } => "graph",
            Shape::Columnar { .. } => "columnar",
            Shape::Memory => "memory",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

//! The parts of a query.

use std::ops::RangeInclusive;

use crate::search::numbers::End;

/// A part of a query. Fields are named by their places.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Every row.
    All,
    /// Rows that have a value in the field.
    Present(usize),
    /// What must, may and must not be found together.
    Group(Vec<(Occurs, Node)>),
    /// A leaf, in a field or in all text fields.
    Leaf(Option<usize>, Leaf),
    /// Counts for so much.
    Weighted(Box<Node>, f32),
}

/// How a part of a group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurs {
    /// As the connective says.
    Plainly,
    /// In every row.
    Must,
    /// In some rows.
    May,
    /// In no row.
    Not,
}

/// What is looked for in a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Leaf {
    /// A word, or what becomes several words and is a phrase then.
    Word(String),
    /// Words side by side, with at most so many others between them.
    Phrase(String, u32),
    /// Words, or keywords, that begin so.
    Prefix(String),
    /// Words that are so in all but some letters.
    Fuzzy(String, u8),
    /// Keywords between two ends; `None`: no end there.
    Keywords(Option<End<String>>, Option<End<String>>),
    /// Whole numbers of a range.
    Whole(RangeInclusive<i128>),
    /// Floating point numbers between two ends; `None`: no end there.
    Floats(Option<End<f64>>, Option<End<f64>>),
}

//! `pg_get_keywords()`: the words of the language, by which clients decide what they quote.

use datafusion::sql::sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS};

use super::columns::Row;

/// What the function is called, which is a table here.
pub(crate) const KEYWORDS: &str = "pg_get_keywords";

/// A row for each word.
pub(super) fn keywords() -> Vec<Row> {
    let words = ALL_KEYWORDS.iter().zip(ALL_KEYWORDS_INDEX);
    let row = |word: &str, is_reserved: bool| -> Row {
        let (code, category, label) = match is_reserved {
            true => ("R", "reserved", "requires AS"),
            false => ("U", "unreserved", "can be bare label"),
        };
        vec![
            ("word", word.to_lowercase().into()),
            ("catcode", code.into()),
            ("barelabel", (!is_reserved).into()),
            ("catdesc", category.into()),
            ("baredesc", label.into()),
        ]
    };
    words
        .map(|(word, keyword)| row(word, RESERVED_FOR_COLUMN_ALIAS.contains(keyword)))
        .collect()
}

//! What is searched: fields, and the values that a document has in them.

use std::fmt;
use std::sync::Arc;

use tantivy::tokenizer::Language;

/// A searched column.
#[derive(Clone)]
pub struct Field {
    /// Its name, as queries write it.
    pub name: String,
    /// How its values are searched.
    pub kind: FieldKind,
}

/// How the values of a field are searched.
#[derive(Clone)]
pub enum FieldKind {
    /// Words, without case and accents; by their stems, where a language (one of [`LANGUAGES`]) is given.
    Text(Option<String>),
    /// The value whole; can be counted as a facet.
    Keyword,
    /// Whole numbers in an order: integers, decimals in units of their last digit, days, microseconds.
    Whole {
        /// Whether values may need more than 64 bits.
        is_wide: bool,
        /// What a value written in a query stands for.
        read: ReadSpan,
    },
    /// Floating point numbers.
    Float {
        /// Whether they came from 32 bits: then what a query writes is rounded as they were.
        is_single: bool,
    },
}

/// Reads a value written in a query: the whole numbers that it stands for. A date among microseconds is a span of them.
pub type ReadSpan = Arc<dyn Fn(&str) -> Option<Span> + Send + Sync>;

/// What a written value stands for among whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lowest whole number that is not below it.
    pub low: i128,
    /// The highest whole number that is not above it. Below `low` where the value lies between two whole numbers.
    pub high: i128,
}

impl Span {
    /// One whole number.
    pub fn of(value: i128) -> Span {
        Span {
            low: value,
            high: value,
        }
    }
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a text or keyword field.
    Text(String),
    /// Of a field of whole numbers.
    Whole(i128),
    /// Of a field of floating point numbers.
    Float(f64),
}

/// A row as it is indexed.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The row's key.
    pub key: Vec<u8>,
    /// Its values, each with the place of its field; none where it is NULL, several where it is a list.
    pub values: Vec<(usize, Value)>,
}

/// The languages whose words are reduced to their stems.
pub const LANGUAGES: [&str; 18] = [
    "arabic",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
];

/// Whether words of this language are reduced to their stems.
pub fn is_language(name: &str) -> bool {
    LANGUAGES.contains(&name)
}

/// The language as the library names it.
pub(super) fn language(name: &str) -> Option<Language> {
    Some(match name {
        "arabic" => Language::Arabic,
        "danish" => Language::Danish,
        "dutch" => Language::Dutch,
        "english" => Language::English,
        "finnish" => Language::Finnish,
        "french" => Language::French,
        "german" => Language::German,
        "greek" => Language::Greek,
        "hungarian" => Language::Hungarian,
        "italian" => Language::Italian,
        "norwegian" => Language::Norwegian,
        "portuguese" => Language::Portuguese,
        "romanian" => Language::Romanian,
        "russian" => Language::Russian,
        "spanish" => Language::Spanish,
        "swedish" => Language::Swedish,
        "tamil" => Language::Tamil,
        "turkish" => Language::Turkish,
        _ => return None,
    })
}

impl FieldKind {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            FieldKind::Text(_) => "text",
            FieldKind::Keyword => "keyword",
            FieldKind::Whole { .. } => "number or date",
            FieldKind::Float { .. } => "number",
        }
    }
}

impl fmt::Debug for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_that_is_named_is_known() {
        for name in LANGUAGES {
            assert!(language(name).is_some(), "{name}");
        }
        assert!(language("klingon").is_none() && !is_language("klingon"));
    }
}

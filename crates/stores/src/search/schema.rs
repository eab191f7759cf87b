//! The library's schema of an index: which of its fields stand for which of ours.
//!
//! ```text
//! field       holds
//! id          the row's key, or its digest where it is long        looked up to replace and delete
//! key         the row's key                                        kept
//! present     the places of the fields that the row has values in  looked up by `field:*`
//! v0, v1, …   the values, by the places of the fields              words, keywords, numbers
//! ```
//!
//! An index is opened again only under the same schema: what changes here makes every index anew.

use sha2::{Digest, Sha256};
use tantivy::schema::{
    BytesOptions, Field as Stored, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{TantivyDocument, Term};

use super::analyze;
use super::field::{Document, Field, FieldKind, Value};
use super::limits::{KEY_BYTES_MAX, KEYWORD_BYTES_MAX};
use super::numbers;

/// Our fields, and the library's for them.
#[derive(Clone)]
pub(super) struct IndexSchema {
    pub fields: Vec<Field>,
    pub schema: Schema,
    id: Stored,
    pub key: Stored,
    present: Stored,
    values: Vec<Stored>,
}

/// The name of the field that holds the values of the field at this place.
pub(super) fn value_name(place: usize) -> String {
    format!("v{place}")
}

impl IndexSchema {
    pub(super) fn new(fields: &[Field]) -> IndexSchema {
        let mut schema = Schema::builder();
        let id = schema.add_bytes_field("id", BytesOptions::default().set_indexed());
        let key = schema.add_bytes_field("key", BytesOptions::default().set_stored());
        let present = schema.add_u64_field("present", NumericOptions::default().set_indexed());
        let mut values: Vec<Stored> = Vec::with_capacity(fields.len());
        for (place, field) in fields.iter().enumerate() {
            let name = value_name(place);
            let number = || NumericOptions::default().set_indexed().set_fast();
            values.push(match &field.kind {
                FieldKind::Text(language) => schema.add_text_field(&name, words(language.as_deref())),
                FieldKind::Keyword => schema.add_text_field(&name, whole()),
                FieldKind::Whole { is_wide: true, .. } => {
                    schema.add_bytes_field(&name, BytesOptions::default().set_indexed())
                }
                FieldKind::Whole { is_wide: false, .. } => schema.add_i64_field(&name, number()),
                FieldKind::Float { .. } => schema.add_f64_field(&name, number()),
            });
        }
        IndexSchema {
            fields: fields.to_vec(),
            schema: schema.build(),
            id,
            key,
            present,
            values,
        }
    }

    /// The languages of its text fields.
    pub(super) fn languages(&self) -> impl Iterator<Item = Option<&str>> {
        self.fields.iter().filter_map(|field| match &field.kind {
            FieldKind::Text(language) => Some(language.as_deref()),
            _ => None,
        })
    }

    /// Where the values of the field at this place stand.
    pub(super) fn value(&self, place: usize) -> Stored {
        // Places come from queries over the same fields.
        self.values.get(place).copied().unwrap_or(self.present)
    }

    /// What the document of a row is found by.
    pub(super) fn id(&self, key: &[u8]) -> Term {
        Term::from_field_bytes(self.id, &short(key))
    }

    /// What documents with a value in the field at this place are found by.
    pub(super) fn present(&self, place: usize) -> Term {
        Term::from_field_u64(self.present, place as u64)
    }

    /// A document as the library takes it.
    pub(super) fn document(&self, document: Document) -> TantivyDocument {
        let mut indexed = TantivyDocument::default();
        indexed.add_bytes(self.id, &short(&document.key));
        indexed.add_bytes(self.key, &document.key);
        let mut last = None;
        for (place, value) in document.values {
            let (Some(stored), Some(field)) = (self.values.get(place), self.fields.get(place)) else {
                continue;
            };
            match (&field.kind, value) {
                (FieldKind::Text(_), Value::Text(text)) => indexed.add_text(*stored, text),
                (FieldKind::Keyword, Value::Text(text)) => indexed.add_text(*stored, keyword(&text)),
                (FieldKind::Whole { is_wide: true, .. }, Value::Whole(number)) => {
                    indexed.add_bytes(*stored, &numbers::sortable(number));
                }
                (FieldKind::Whole { is_wide: false, .. }, Value::Whole(number)) => match i64::try_from(number) {
                    Ok(number) => indexed.add_i64(*stored, number),
                    Err(_) => continue,
                },
                (FieldKind::Float { .. }, Value::Float(number)) => match numbers::plain(number) {
                    Some(number) => indexed.add_f64(*stored, number),
                    None => continue,
                },
                _ => continue,
            }
            if last != Some(place) {
                indexed.add_u64(self.present, place as u64);
                last = Some(place);
            }
        }
        indexed
    }
}

/// Words with their frequencies and positions.
fn words(language: Option<&str>) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(&analyze::name(language))
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    TextOptions::default().set_indexing_options(indexing)
}

/// Values as they are, countable.
fn whole() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    TextOptions::default().set_indexing_options(indexing).set_fast("raw")
}

/// A key as it is looked up: itself, or its beginning and its digest.
fn short(key: &[u8]) -> Vec<u8> {
    if key.len() <= KEY_BYTES_MAX {
        return key.to_vec();
    }
    let mut short = key[..KEY_BYTES_MAX].to_vec();
    short.extend_from_slice(&Sha256::digest(key));
    short
}

/// A keyword as it is kept: itself, or its beginning and its digest.
pub(super) fn keyword(text: &str) -> String {
    if text.len() <= KEYWORD_BYTES_MAX {
        return text.to_owned();
    }
    let beginning = &text[..text.floor_char_boundary(KEYWORD_BYTES_MAX)];
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{beginning}…{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_and_keywords_are_told_apart() {
        let text = |length: usize, last: char| format!("{}{last}", "ä".repeat(length / 2 - 1));
        assert_eq!(keyword(&text(KEYWORD_BYTES_MAX, 'x')), text(KEYWORD_BYTES_MAX, 'x'));
        let long = [text(KEYWORD_BYTES_MAX + 4, 'x'), text(KEYWORD_BYTES_MAX + 4, 'y')].map(|text| keyword(&text));
        assert!(
            long[0] != long[1] && long[0].len() < KEYWORD_BYTES_MAX + 100,
            "{long:?}"
        );
        let keys = [
            vec![7; KEY_BYTES_MAX],
            vec![7; KEY_BYTES_MAX + 1],
            vec![7; KEY_BYTES_MAX + 2],
        ];
        assert_eq!(short(&keys[0]), keys[0]);
        assert_ne!(short(&keys[1]), short(&keys[2]));
    }
}

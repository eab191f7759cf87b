//! From the parts of a query to the library's query.
//!
//! Words are scored by BM25, over all text fields that they are found in. Keywords, numbers and dates choose rows and count for one each,
//! whatever their frequency.

use std::ops::{Bound as Until, RangeInclusive};

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, InvertedIndexRangeQuery, Occur,
    PhraseQuery, Query as Built, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;

use super::excluded::Excluded;
use super::syntax::{Leaf, Node, Occurs};
use super::{Connective, Query, QueryError};
use crate::search::analyze::{AS_WRITTEN, Analyzer, Word};
use crate::search::field::{Field, FieldKind};
use crate::search::limits::QUERY_WORDS_MAX;
use crate::search::numbers::{self, End};
use crate::search::schema::{IndexSchema, keyword};
use crate::search::stop_words::is_stop_word;

/// The library's query.
pub(in crate::search) fn build(query: &Query, schema: &IndexSchema) -> Result<Box<dyn Built>, QueryError> {
    let mut builder = Builder {
        schema,
        connective: query.connective,
        words: 0,
    };
    let built = builder.node(&query.root)?;
    // Of nothing but signs there is nothing to be found.
    Ok(built.unwrap_or_else(|| Box::new(EmptyQuery)))
}

struct Builder<'a> {
    schema: &'a IndexSchema,
    connective: Connective,
    words: usize,
}

/// `None`: it has no words, and says nothing.
type Part = Result<Option<Box<dyn Built>>, QueryError>;

impl Builder<'_> {
    fn node(&mut self, node: &Node) -> Part {
        match node {
            Node::All => Ok(Some(Box::new(AllQuery))),
            Node::Present(field) => Ok(Some(chosen(self.schema.present(*field)))),
            Node::Weighted(node, weight) => {
                let built = self.node(node)?;
                Ok(built.map(|built| -> Box<dyn Built> { Box::new(BoostQuery::new(built, *weight)) }))
            }
            Node::Group(parts) => self.group(parts),
            Node::Leaf(Some(field), leaf) => self.leaf(*field, leaf),
            Node::Leaf(None, leaf) => self.anywhere(leaf),
        }
    }

    fn group(&mut self, parts: &[(Occurs, Node)]) -> Part {
        let plainly = match self.connective {
            Connective::And => Occur::Must,
            Connective::Or => Occur::Should,
        };
        // A word such as "the" need not be there as long as another one must be.
        let carries = |(occurs, node): &(Occurs, Node)| match occurs {
            Occurs::Must => true,
            Occurs::Plainly => !self.may_be_missing(node),
            Occurs::May | Occurs::Not => false,
        };
        let others_carry = parts.iter().any(carries);
        let mut clauses: Vec<(Occur, Box<dyn Built>)> = Vec::with_capacity(parts.len() + 1);
        for (occurs, node) in parts {
            let Some(built) = self.node(node)? else { continue };
            let occur = match occurs {
                Occurs::Must => Occur::Must,
                Occurs::May => Occur::Should,
                Occurs::Not => Occur::MustNot,
                Occurs::Plainly if others_carry && self.may_be_missing(node) => Occur::Should,
                Occurs::Plainly => plainly,
            };
            clauses.push(match occur {
                Occur::MustNot => (occur, Box::new(Excluded(built))),
                _ => (occur, built),
            });
        }
        if clauses.is_empty() {
            return Ok(None);
        }
        if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        Ok(Some(Box::new(BooleanQuery::new(clauses))))
    }

    /// Whether a part is a stop word of a field that it is looked for in.
    fn may_be_missing(&self, node: &Node) -> bool {
        let Node::Leaf(field, Leaf::Word(word)) = node else {
            return false;
        };
        let words = Analyzer::new(None).words(word);
        let [word] = words.as_slice() else { return false };
        let is_meant = |(place, _): &(usize, &Field)| field.is_none_or(|field| field == *place);
        let language = |(_, field): (usize, &Field)| match &field.kind {
            FieldKind::Text(Some(language)) => is_stop_word(language, &word.folded),
            _ => false,
        };
        self.schema.fields.iter().enumerate().filter(is_meant).any(language)
    }

    /// In all text fields: found in any of them.
    fn anywhere(&mut self, leaf: &Leaf) -> Part {
        let is_text = |(_, field): &(usize, &Field)| matches!(field.kind, FieldKind::Text(_));
        let fields: Vec<usize> = self
            .schema
            .fields
            .iter()
            .enumerate()
            .filter(is_text)
            .map(|(place, _)| place)
            .collect();
        let mut found: Vec<Box<dyn Built>> = Vec::with_capacity(fields.len());
        for field in fields {
            found.extend(self.leaf(field, leaf)?);
        }
        Ok(match found.len() {
            0 | 1 => found.pop(),
            _ => Some(Box::new(BooleanQuery::union(found))),
        })
    }

    fn leaf(&mut self, place: usize, leaf: &Leaf) -> Part {
        let schema = self.schema;
        let Some(field) = schema.fields.get(place) else {
            return Ok(None);
        };
        match (&field.kind, leaf) {
            (_, Leaf::Keywords(low, high)) => Ok(Some(self.keywords(place, low.as_ref(), high.as_ref()))),
            (FieldKind::Whole { is_wide: true, .. }, Leaf::Whole(range)) => Ok(Some(self.wide(place, range))),
            (_, Leaf::Whole(range)) => Ok(Some(self.narrow(place, numbers::narrow(range)))),
            (_, Leaf::Floats(low, high)) => Ok(Some(self.floats(place, low.as_ref(), high.as_ref()))),
            (FieldKind::Text(language), leaf) => self.text(place, Analyzer::new(language.as_deref()), leaf),
            (_, Leaf::Word(text) | Leaf::Phrase(text, _)) => Ok(Some(chosen(self.keyword(place, &keyword(text))))),
            (_, Leaf::Prefix(text)) => Ok(Some(between(
                self.keyword(place, text),
                self.keyword(place, &last(text)),
            ))),
            (_, Leaf::Fuzzy(text, distance)) => {
                let fuzzy = FuzzyTermQuery::new(self.keyword(place, text), *distance, true);
                Ok(Some(Box::new(ConstScoreQuery::new(Box::new(fuzzy), 1.0))))
            }
        }
    }

    fn text(&mut self, place: usize, mut analyzer: Analyzer, leaf: &Leaf) -> Part {
        let schema = self.schema;
        let term = |text: &str| Term::from_field_text(schema.value(place), text);
        let as_written = |analyzer: &Analyzer, word: &Word| match analyzer.has_stems() {
            true => format!("{AS_WRITTEN}{}", word.folded),
            false => word.folded.clone(),
        };
        let (text, slop) = match leaf {
            Leaf::Word(text) | Leaf::Prefix(text) | Leaf::Fuzzy(text, _) => (text, 0),
            Leaf::Phrase(text, slop) => (text, *slop),
            Leaf::Keywords(..) | Leaf::Whole(_) | Leaf::Floats(..) => return Ok(None),
        };
        let mut words = analyzer.words(text);
        self.count(words.len())?;
        let ending = match leaf {
            Leaf::Prefix(_) => words.pop().map(|word| {
                let prefix = as_written(&analyzer, &word);
                between(term(&prefix), term(&last(&prefix)))
            }),
            Leaf::Fuzzy(_, distance) if words.len() == 1 => words.pop().map(|word| -> Box<dyn Built> {
                let term = term(&as_written(&analyzer, &word));
                Box::new(FuzzyTermQuery::new(term, *distance, true))
            }),
            _ => None,
        };
        let terms: Vec<(usize, Term)> = words
            .iter()
            .enumerate()
            .map(|(at, word)| (at, term(&word.stem)))
            .collect();
        let whole: Option<Box<dyn Built>> = match terms.as_slice() {
            [] => None,
            [(_, term)] => Some(Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs))),
            _ => Some(Box::new(PhraseQuery::new_with_offset_and_slop(terms, slop))),
        };
        Ok(match (whole, ending) {
            (Some(whole), Some(ending)) => Some(Box::new(BooleanQuery::intersection(vec![whole, ending]))),
            (whole, ending) => whole.or(ending),
        })
    }

    fn keyword(&self, place: usize, text: &str) -> Term {
        Term::from_field_text(self.schema.value(place), text)
    }

    fn keywords(&self, place: usize, low: Option<&End<String>>, high: Option<&End<String>>) -> Box<dyn Built> {
        let until = |end: Option<&End<String>>| until(end, |text| self.keyword(place, &keyword(text)));
        match (until(low), until(high)) {
            (Until::Unbounded, Until::Unbounded) => chosen(self.schema.present(place)),
            (low, high) => Box::new(InvertedIndexRangeQuery::new(low, high)),
        }
    }

    fn narrow(&self, place: usize, range: Option<(i64, i64)>) -> Box<dyn Built> {
        let term = |value: i64| Term::from_field_i64(self.schema.value(place), value);
        match range {
            None => Box::new(EmptyQuery),
            Some((first, last)) if first == last => chosen(term(first)),
            Some((first, last)) => {
                let range = RangeQuery::new(Until::Included(term(first)), Until::Included(term(last)));
                Box::new(ConstScoreQuery::new(Box::new(range), 1.0))
            }
        }
    }

    fn wide(&self, place: usize, range: &RangeInclusive<i128>) -> Box<dyn Built> {
        let term = |value: &i128| Term::from_field_bytes(self.schema.value(place), &numbers::sortable(*value));
        match range.is_empty() {
            true => Box::new(EmptyQuery),
            false => between(term(range.start()), term(range.end())),
        }
    }

    fn floats(&self, place: usize, low: Option<&End<f64>>, high: Option<&End<f64>>) -> Box<dyn Built> {
        let until = |end: Option<&End<f64>>| until(end, |value| Term::from_field_f64(self.schema.value(place), *value));
        match (until(low), until(high)) {
            (Until::Unbounded, Until::Unbounded) => chosen(self.schema.present(place)),
            (low, high) => Box::new(ConstScoreQuery::new(Box::new(RangeQuery::new(low, high)), 1.0)),
        }
    }

    fn count(&mut self, words: usize) -> Result<(), QueryError> {
        self.words += words;
        match self.words > QUERY_WORDS_MAX * self.schema.fields.len().max(1) {
            true => Err(QueryError {
                at: 1,
                why: format!("it comes to more than {QUERY_WORDS_MAX} words"),
                hint: "ask for less at once".to_owned(),
            }),
            false => Ok(()),
        }
    }
}

/// Rows with this term, however often.
fn chosen(term: Term) -> Box<dyn Built> {
    let query = TermQuery::new(term, IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(query), 1.0))
}

/// Rows with any term from the one to the other.
fn between(first: Term, last: Term) -> Box<dyn Built> {
    Box::new(InvertedIndexRangeQuery::new(
        Until::Included(first),
        Until::Included(last),
    ))
}

/// The last text that begins so.
fn last(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

fn until<T>(end: Option<&End<T>>, term: impl Fn(&T) -> Term) -> Until<Term> {
    match end {
        None => Until::Unbounded,
        Some(End {
            value,
            is_included: true,
        }) => Until::Included(term(value)),
        Some(End {
            value,
            is_included: false,
        }) => Until::Excluded(term(value)),
    }
}

//! What a commit left, asked: hits, their keys, counts.

use tantivy::collector::{Collector, Count, SegmentCollector, TopDocs};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentOrdinal, SegmentReader, TantivyDocument, TantivyError};

use super::analyze::Analyzer;
use super::facets::facets;
use super::field::{Field, FieldKind};
use super::index::failed;
use super::query::{Query, QueryError, build, marks};
use super::schema::IndexSchema;
use super::snippet::Snippets;
use crate::StoreError;

/// An index as of one commit.
pub struct SearchSnapshot {
    schema: IndexSchema,
    searcher: Searcher,
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// How well; more is better.
    pub score: f32,
    address: DocAddress,
}

impl SearchSnapshot {
    pub(super) fn new(schema: IndexSchema, searcher: Searcher) -> SearchSnapshot {
        SearchSnapshot { schema, searcher }
    }

    /// The fields that queries speak of.
    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    /// How many rows a query finds.
    pub fn count(&self, query: &Query) -> Result<u64, StoreError> {
        let built = build(query, &self.schema).map_err(refused)?;
        let counted = self
            .searcher
            .search(&built, &Count)
            .map_err(|error| failed(None, &error))?;
        Ok(counted as u64)
    }

    /// The rows that a query finds, the best first; equal ones in no order that means anything. `limit`: no more than these.
    pub fn find(&self, query: &Query, limit: Option<usize>) -> Result<Vec<Hit>, StoreError> {
        let built = build(query, &self.schema).map_err(refused)?;
        let hit = |(score, address): (Score, DocAddress)| Hit { score, address };
        let all = usize::try_from(self.searcher.num_docs()).unwrap_or(usize::MAX);
        let found = match limit {
            Some(0) => Ok(Vec::new()),
            Some(limit) if limit < all => {
                let best = TopDocs::with_limit(limit).order_by_score();
                self.searcher
                    .search(&built, &best)
                    .map(|best| best.into_iter().map(hit).collect())
            }
            _ => self.searcher.search(&built, &Everything),
        };
        found.map_err(|error| failed(None, &error))
    }

    /// The keys of the rows that were found.
    pub fn keys(&self, hits: &[Hit]) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = |hit: &Hit| {
            let document: TantivyDocument = self.searcher.doc(hit.address)?;
            let key = document
                .get_first(self.schema.key)
                .and_then(|value| value.as_bytes().map(<[u8]>::to_vec));
            key.ok_or_else(|| TantivyError::InternalError("a document has no key".to_owned()))
        };
        let keys: Result<Vec<Vec<u8>>, TantivyError> = hits.iter().map(key).collect();
        keys.map_err(|error| failed(None, &error))
    }

    /// The values of a keyword field (by its place) among the rows that a query finds, each with the number of rows; the most frequent first.
    pub fn facets(&self, query: &Query, place: usize) -> Result<Vec<(String, u64)>, StoreError> {
        let built = build(query, &self.schema).map_err(refused)?;
        facets(&self.searcher, built.as_ref(), place)
    }

    /// What shows, of the text in a field (by its place), why a query found it. `None`: it is no text field.
    pub fn snippets(&self, query: &Query, place: usize) -> Option<Snippets> {
        let FieldKind::Text(language) = &self.schema.fields.get(place)?.kind else {
            return None;
        };
        let mut analyzer = Analyzer::new(language.as_deref());
        let marks = marks(query, place, &mut analyzer);
        Some(Snippets::new(analyzer, marks))
    }
}

fn refused(error: QueryError) -> StoreError {
    StoreError::Refused(error.to_string())
}

/// Collects all hits, the best first.
struct Everything;

struct EverythingOf {
    segment: SegmentOrdinal,
    hits: Vec<Hit>,
}

impl Collector for Everything {
    type Fruit = Vec<Hit>;
    type Child = EverythingOf;

    fn for_segment(&self, segment: SegmentOrdinal, _reader: &SegmentReader) -> tantivy::Result<EverythingOf> {
        Ok(EverythingOf {
            segment,
            hits: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, found: Vec<Vec<Hit>>) -> tantivy::Result<Vec<Hit>> {
        let mut hits = found.concat();
        hits.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.address.cmp(&other.address)));
        Ok(hits)
    }
}

impl SegmentCollector for EverythingOf {
    type Fruit = Vec<Hit>;

    fn collect(&mut self, document: DocId, score: Score) {
        self.hits.push(Hit {
            score,
            address: DocAddress::new(self.segment, document),
        });
    }

    fn harvest(self) -> Vec<Hit> {
        self.hits
    }
}

//! What must not be found.
//!
//! The library asks an excluded phrase for rows before the one that it stands at, which a phrase must not be asked for: it may go back, and ends the task in a
//! build with assertions. Here it is asked for what lies ahead of it alone.

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, Term};

/// The same query, asked in order.
#[derive(Debug)]
pub(super) struct Excluded(pub(super) Box<dyn Query>);

impl Clone for Excluded {
    fn clone(&self) -> Excluded {
        Excluded(self.0.box_clone())
    }
}

impl Query for Excluded {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(InOrder(self.0.weight(scoring)?)))
    }

    fn query_terms<'a>(&'a self, visit: &mut dyn FnMut(&'a Term, bool)) {
        self.0.query_terms(visit);
    }
}

struct InOrder(Box<dyn Weight>);

impl Weight for InOrder {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(Found(self.0.scorer(reader, boost)?)))
    }

    fn explain(&self, reader: &SegmentReader, row: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, row)
    }
}

/// What is found. `seek_danger` is the trait's own, which seeks only ahead.
struct Found(Box<dyn Scorer>);

impl DocSet for Found {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }
}

impl Scorer for Found {
    fn score(&mut self) -> Score {
        self.0.score()
    }
}

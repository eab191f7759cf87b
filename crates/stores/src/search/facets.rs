//! How often each value of a keyword field occurs among the rows that a query finds.

use std::collections::HashMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::query::Query;
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader, TantivyError};

use super::index::failed;
use super::limits::FACET_VALUES_MAX;
use super::schema::value_name;
use crate::StoreError;

/// Values and the number of rows that have them, the most frequent first, equally frequent ones in the order of their characters.
pub(super) fn facets(searcher: &Searcher, query: &dyn Query, place: usize) -> Result<Vec<(String, u64)>, StoreError> {
    let counted = searcher.search(query, &Values { place });
    let counted = counted.map_err(|error| failed(None, &error))?;
    let mut values: Vec<(String, u64)> = counted
        .ok_or_else(|| {
            StoreError::Refused(format!(
                "the rows found have more than {FACET_VALUES_MAX} different values there: narrow the query, or count in SQL with GROUP BY"
            ))
        })?
        .into_iter()
        .collect();
    values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    Ok(values)
}

/// Counts the values of the field at a place; `None`: there are too many.
struct Values {
    place: usize,
}

/// Counts by the numbers that values have in one piece of the index.
struct ValuesOf {
    column: Option<StrColumn>,
    counts: HashMap<u64, u64>,
    /// What was seen of the row at hand: a list may hold a value twice.
    seen: Vec<u64>,
}

type Counts = Option<HashMap<String, u64>>;

impl Collector for Values {
    type Fruit = Counts;
    type Child = ValuesOf;

    fn for_segment(&self, _segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<ValuesOf> {
        Ok(ValuesOf {
            column: reader.fast_fields().str(&value_name(self.place))?,
            counts: HashMap::new(),
            seen: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, found: Vec<tantivy::Result<Counts>>) -> tantivy::Result<Counts> {
        let mut merged: HashMap<String, u64> = HashMap::new();
        for counts in found {
            let Some(counts) = counts? else { return Ok(None) };
            for (value, count) in counts {
                *merged.entry(value).or_default() += count;
            }
            if merged.len() > FACET_VALUES_MAX {
                return Ok(None);
            }
        }
        Ok(Some(merged))
    }
}

impl SegmentCollector for ValuesOf {
    type Fruit = tantivy::Result<Counts>;

    fn collect(&mut self, document: DocId, _score: Score) {
        let Some(column) = &self.column else { return };
        // One more than the most is enough to see that it is too many.
        let is_full = self.counts.len() > FACET_VALUES_MAX;
        self.seen.clear();
        for value in column.term_ords(document) {
            if !is_full && !self.seen.contains(&value) {
                self.seen.push(value);
                *self.counts.entry(value).or_default() += 1;
            }
        }
    }

    fn harvest(self) -> tantivy::Result<Counts> {
        if self.counts.len() > FACET_VALUES_MAX {
            return Ok(None);
        }
        let Some(column) = &self.column else {
            return Ok(Some(HashMap::new()));
        };
        let mut counts: HashMap<String, u64> = HashMap::with_capacity(self.counts.len());
        for (number, count) in self.counts {
            let mut value = String::new();
            if !column.ord_to_str(number, &mut value)? {
                return Err(TantivyError::InternalError(
                    "a keyword is not in its dictionary".to_owned(),
                ));
            }
            counts.insert(value, count);
        }
        Ok(Some(counts))
    }
}

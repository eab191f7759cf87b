//! One moment of a search view, asked: what a query finds, and the rows that were found as they were then.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, StringArray, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field as Column, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use headwater_records::Position;
use headwater_stores::Reader;
use headwater_stores::search::{Field, FieldKind, Hit, Query, SearchIndex, SearchSnapshot, Snippets};

use super::{SearchImage, documents};
use crate::limits::SEARCH_ROWS_REWOUND_MAX;
use crate::rows::row;
use crate::{View, ViewError};

/// The index and the rows of a view, of one position.
pub struct SearchMoment {
    snapshot: SearchSnapshot,
    rows: Rows,
    position: Position,
}

/// Where the rows are that were found.
enum Rows {
    /// In the view's store as of the commit.
    Store(Box<dyn Reader>),
    /// At hand; keys are their places.
    AtHand(RecordBatch),
}

/// Makes snippets of rows that were found.
pub struct SnippetsOf {
    /// By column, those of each text field.
    fields: BTreeMap<usize, Snippets>,
    chars_max: usize,
}

impl SearchMoment {
    pub(super) fn of_store(snapshot: SearchSnapshot, rows: Box<dyn Reader>, position: Position) -> SearchMoment {
        SearchMoment {
            snapshot,
            rows: Rows::Store(rows),
            position,
        }
    }

    /// The position that it stands at.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The fields that queries speak of.
    pub fn fields(&self) -> &[Field] {
        self.snapshot.fields()
    }

    /// How many rows a query finds.
    pub fn count(&self, query: &Query) -> Result<u64, ViewError> {
        Ok(self.snapshot.count(query)?)
    }

    /// The rows that a query finds, the best first. `limit`: no more than these.
    pub fn find(&self, query: &Query, limit: Option<usize>) -> Result<Vec<Hit>, ViewError> {
        Ok(self.snapshot.find(query, limit)?)
    }

    /// The values of a keyword field among the rows that a query finds, each with the number of rows; the most frequent first.
    pub fn facets(&self, query: &Query, field: usize) -> Result<Vec<(String, u64)>, ViewError> {
        Ok(self.snapshot.facets(query, field)?)
    }

    /// The rows that were found, in the order of the hits.
    pub fn rows(&self, view: &View, hits: &[Hit]) -> Result<RecordBatch, ViewError> {
        let keys = self.snapshot.keys(hits)?;
        match &self.rows {
            Rows::Store(rows) => committed(view, rows.as_ref(), &keys),
            Rows::AtHand(rows) => {
                let place = |key: &Vec<u8>| key.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                taken(rows, keys.iter().map(place).collect())
            }
        }
    }

    /// Makes snippets for a query, of one text field or of whichever shows most.
    pub fn snippets(&self, view: &View, query: &Query, field: Option<usize>, chars_max: usize) -> SnippetsOf {
        let columns = view.image::<SearchImage>().map(|image| image.columns.as_slice());
        let mut fields: BTreeMap<usize, Snippets> = BTreeMap::new();
        for (place, column) in columns.unwrap_or_default().iter().enumerate() {
            if field.is_some_and(|field| field != place) {
                continue;
            }
            if let Some(snippets) = self.snapshot.snippets(query, place) {
                fields.insert(*column, snippets);
            }
        }
        SnippetsOf { fields, chars_max }
    }
}

impl View {
    /// An index over rows of this view that are not its newest, to be searched in their place.
    pub fn searchable_of(&self, rows: &[RecordBatch]) -> Result<SearchMoment, ViewError> {
        let image = self.search_image()?;
        let total: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if total > SEARCH_ROWS_REWOUND_MAX {
            return Err(ViewError::Unfit {
                part: format!(
                    "a search of '{}' as it was, over {total} rows: {SEARCH_ROWS_REWOUND_MAX} are the most that are indexed anew,",
                    self.definition.name
                ),
                hint: "search it as it is now, or ask the view itself as of then with a filter".to_owned(),
            });
        }
        let schema = rows.first().map_or_else(|| self.schema(), RecordBatch::schema);
        let rows = concat_batches(&schema, rows).map_err(failed)?;
        let documents = documents::documents(image.fields(), &image.columns, &rows)?;
        let index = SearchIndex::open(None, image.fields())?;
        let places = 0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
        let documents = places.map(|place| documents.of(&place.to_be_bytes(), place as usize));
        index.commit(std::iter::empty(), documents, &Position::new())?;
        Ok(SearchMoment {
            snapshot: index.snapshot()?,
            rows: Rows::AtHand(rows),
            position: Position::new(),
        })
    }
}

impl SnippetsOf {
    /// A snippet of each row; NULL where there is no text.
    pub fn of(&mut self, rows: &RecordBatch) -> Result<ArrayRef, ViewError> {
        let mut texts: Vec<(&mut Snippets, StringArray)> = Vec::new();
        for (column, snippets) in &mut self.fields {
            texts.push((snippets, text_of(rows.column(*column)).map_err(failed)?));
        }
        let mut made: Vec<Option<String>> = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let mut best: Option<(usize, String)> = None;
            for (snippets, text) in &mut texts {
                if text.is_null(row) {
                    continue;
                }
                let snippet = snippets.of(text.value(row), self.chars_max);
                if best.as_ref().is_none_or(|(marked, _)| snippet.marked > *marked) {
                    best = Some((snippet.marked, snippet.html));
                }
            }
            made.push(best.map(|(_, html)| html));
        }
        Ok(Arc::new(StringArray::from(made)))
    }
}

/// The text of a text field; that of a list with spaces between.
fn text_of(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    match column.data_type() {
        DataType::List(_) | DataType::LargeList(_) => {
            let mut texts: Vec<Option<String>> = Vec::with_capacity(column.len());
            for row in 0..column.len() {
                let values = match column.data_type() {
                    _ if column.is_null(row) => None,
                    DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
                    _ => Some(column.as_list::<i32>().value(row)),
                };
                let joined = |values: ArrayRef| -> Result<String, ArrowError> {
                    let values = cast(&values, &DataType::Utf8)?;
                    Ok(values
                        .as_string::<i32>()
                        .iter()
                        .flatten()
                        .collect::<Vec<&str>>()
                        .join(" "))
                };
                texts.push(values.map(joined).transpose()?);
            }
            Ok(StringArray::from(texts))
        }
        _ => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

/// The columns of what is found: those of the view, `score` and `snippet`, which are called otherwise where the view has such columns itself.
pub fn found_schema(view: &View) -> SchemaRef {
    const BESIDE: [(&str, DataType, bool); 2] =
        [("score", DataType::Float32, false), ("snippet", DataType::Utf8, true)];
    let mut columns: Vec<Arc<Column>> = view.schema().fields().to_vec();
    for (name, data_type, is_nullable) in BESIDE {
        let mut name = name.to_owned();
        while columns.iter().any(|column| *column.name() == name) {
            name.insert_str(0, "search_");
        }
        columns.push(Arc::new(Column::new(name, data_type, is_nullable)));
    }
    Arc::new(Schema::new(columns))
}

/// How well rows were found, as a column.
pub fn scores(hits: &[Hit]) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(hits.iter().map(|hit| hit.score)))
}

/// Whether a field is one whose values can be counted.
pub fn is_facet(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Keyword)
}

/// Whether a field is one of words.
pub fn is_text(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Text(_))
}

fn committed(view: &View, rows: &dyn Reader, keys: &[Vec<u8>]) -> Result<RecordBatch, ViewError> {
    let mut values: Vec<Vec<u8>> = Vec::with_capacity(keys.len());
    for key in keys {
        let value = rows.get(key)?.ok_or_else(|| differs(view))?;
        values.push(value);
    }
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let states: Vec<&[u8]> = values.iter().map(|value| row::state(value)).collect();
    let found = view.query.rows(&keys, &states)?;
    let places = view.query.places(&keys, &found)?;
    let mut order: Vec<u32> = Vec::with_capacity(places.len());
    for place in places {
        let place = place.ok_or_else(|| differs(view))?;
        order.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
    match order.iter().zip(0..).all(|(place, at)| *place == at) {
        true => Ok(found),
        false => taken(&found, order),
    }
}

fn differs(view: &View) -> ViewError {
    ViewError::Failed(format!(
        "the index of the view '{}' holds a row that the view does not have: stop the program and delete the view's folder, both are derived",
        view.definition.name
    ))
}

fn taken(rows: &RecordBatch, places: Vec<u32>) -> Result<RecordBatch, ViewError> {
    take_record_batch(rows, &UInt32Array::from(places)).map_err(failed)
}

fn failed(error: ArrowError) -> ViewError {
    ViewError::Failed(error.to_string())
}

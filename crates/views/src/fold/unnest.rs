//! UNNEST: a row for each element of the arrays of a row, one after another.
//!
//! ```text
//! order │ items           ──>   order │ item
//! 1     │ [scarf, hat]          1     │ scarf
//! 2     │ []                    1     │ hat
//! ```
//!
//! Several arrays go side by side, NULL behind the end of the shorter ones. A row without any element is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr;

use crate::ViewError;
use crate::fold::stage::place_among;
use crate::limits::UNNEST_BYTES_MAX;
use crate::query::refused_but;

/// What one row costs in each column besides its bytes, about.
const CELL_BYTES: usize = 8;

/// A step that makes a row of each element.
#[derive(Debug, Clone)]
pub(crate) struct Unnest {
    columns: Vec<Made>,
    schema: SchemaRef,
}

/// What a column of the rows is made of: a column of the input,
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// repeated for each element,
    Repeated(usize),
    /// or its elements.
    Elements(usize),
}

impl Unnest {
    /// The step that a plan's node is, or its refusal.
    pub(crate) fn of(unnest: &logical_expr::Unnest) -> Result<Unnest, ViewError> {
        let input: &Schema = unnest.input.schema().as_arrow();
        let mut columns: Vec<Made> = Vec::with_capacity(unnest.dependency_indices.len());
        for column in &unnest.dependency_indices {
            let is_list = unnest.list_type_columns.iter().any(|(list, _)| list == column);
            columns.push(match is_list {
                true => Made::Elements(*column),
                false => Made::Repeated(*column),
            });
        }
        let refuse = |part: &str, hint: &str| Err(refused_but(part, hint));
        if !unnest.struct_type_columns.is_empty() {
            return refuse("UNNEST of a struct", "name its fields: value['field']");
        }
        if unnest.list_type_columns.iter().any(|(_, list)| list.depth > 1) {
            return refuse(
                "UNNEST of an array of arrays at once",
                "unnest it in two steps, the inner array in a query around the first",
            );
        }
        let is_plain = |(list, _): &(usize, _)| matches!(input.field(*list).data_type(), DataType::List(_));
        if unnest.options.preserve_nulls() || !unnest.list_type_columns.iter().all(is_plain) {
            return refuse("this kind of UNNEST", "select unnest(…) of an array");
        }
        Ok(Unnest {
            columns,
            schema: Arc::new(unnest.schema.as_arrow().clone()),
        })
    }

    /// The column of its input that a column of its rows is as it stands; `None` where it is an array's element.
    pub(crate) fn below(&self, column: usize) -> Option<usize> {
        match self.columns.get(column)? {
            Made::Repeated(column) => Some(*column),
            Made::Elements(_) => None,
        }
    }

    /// The column of its input that a column of its rows rests on.
    pub(crate) fn rests_on(&self, column: usize) -> Option<usize> {
        self.columns.get(column).map(|made| match made {
            Made::Repeated(column) | Made::Elements(column) => *column,
        })
    }

    /// How many columns its rows have.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The columns of its rows that are elements.
    pub(crate) fn elements(&self) -> BTreeSet<usize> {
        let made = self.columns.iter().enumerate();
        let elements = made.filter(|(_, made)| matches!(made, Made::Elements(_)));
        elements.map(|(column, _)| column).collect()
    }

    /// The columns of its input that it reads for these of its rows: the arrays in any case.
    pub(crate) fn reads(&self, made: &BTreeSet<usize>) -> BTreeSet<usize> {
        let read = &self.elements() | made;
        read.into_iter().filter_map(|column| self.rests_on(column)).collect()
    }

    /// The same step from these columns of its input alone to these of its rows.
    pub(crate) fn narrowed(&self, input: &BTreeSet<usize>, made: &BTreeSet<usize>) -> Result<Unnest> {
        let kept: Vec<usize> = made.iter().copied().collect();
        let columns = kept.iter().map(|column| self.columns[*column].over(input));
        Ok(Unnest {
            columns: columns.collect::<Result<_>>()?,
            schema: Arc::new(self.schema.project(&kept)?),
        })
    }

    /// The rows of a batch. An error where they would take too much memory: fewer rows at once may not.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let lists: Vec<Option<&ListArray>> = self.columns.iter().map(|made| made.list(batch)).collect();
        let length = |list: &&ListArray, row: usize| match list.is_valid(row) {
            true => list.value_length(row) as usize,
            false => 0,
        };
        let lengths: Vec<usize> = (0..batch.num_rows())
            .map(|row| lists.iter().flatten().map(|list| length(list, row)).max().unwrap_or(0))
            .collect();
        self.check(batch, &lengths)?;
        let rows: usize = lengths.iter().sum();
        let repeated = lengths.iter().enumerate();
        let repeated = repeated.flat_map(|(row, length)| std::iter::repeat_n(row as u64, *length));
        let repeated = UInt64Array::from_iter_values(repeated);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (made, list) in self.columns.iter().zip(&lists) {
            columns.push(match (made, list) {
                (Made::Elements(_), Some(list)) => {
                    let places = lengths.iter().enumerate().flat_map(|(row, rows)| {
                        let (start, own) = (list.value_offsets()[row] as u64, length(list, row));
                        (0..*rows).map(move |at| (at < own).then_some(start + at as u64))
                    });
                    take(list.values(), &UInt64Array::from_iter(places), None)?
                }
                (Made::Repeated(column) | Made::Elements(column), _) => take(batch.column(*column), &repeated, None)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns,
            &options,
        )?)
    }

    /// Whether the rows are few and small enough, as far as can be told before they are made.
    fn check(&self, batch: &RecordBatch, lengths: &[usize]) -> Result<()> {
        let mut bytes = lengths.iter().sum::<usize>() * CELL_BYTES * self.columns.len();
        for made in &self.columns {
            let Made::Repeated(column) = made else { continue };
            let column = batch.column(*column);
            if column.data_type().is_primitive() {
                continue;
            }
            for (row, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 1) {
                let of_row = match column.as_string_opt::<i32>() {
                    Some(texts) => texts.value_length(row) as usize,
                    None => column.slice(row, 1).to_data().get_slice_memory_size()?,
                };
                bytes = bytes.saturating_add(of_row.saturating_mul(*length));
            }
        }
        match bytes <= UNNEST_BYTES_MAX {
            true => Ok(()),
            false => Err(DataFusionError::Execution(format!(
                "the elements of its arrays, each with the rest of the row, take {bytes} bytes, and {UNNEST_BYTES_MAX} are taken at once: select less \
                 beside unnest(…)"
            ))),
        }
    }
}

impl Made {
    /// The same over these columns of the input alone.
    fn over(self, input: &BTreeSet<usize>) -> Result<Made> {
        Ok(match self {
            Made::Repeated(column) => Made::Repeated(place_among(input, column)?),
            Made::Elements(column) => Made::Elements(place_among(input, column)?),
        })
    }

    fn list(self, batch: &RecordBatch) -> Option<&ListArray> {
        match self {
            Made::Elements(column) => batch.column(column).as_list_opt(),
            Made::Repeated(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn so_many_bytes_are_made_at_once_and_no_more() {
        const ELEMENTS: usize = 64;
        let element = Arc::new(Field::new_list_field(DataType::Int64, true));
        let schema = Arc::new(Schema::new(vec![
            Field::new("text", DataType::Utf8, false),
            Field::new("element", DataType::Int64, true),
        ]));
        let unnest = Unnest {
            columns: vec![Made::Repeated(0), Made::Elements(1)],
            schema,
        };
        let rows = |text_bytes: usize| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(text_bytes)]));
            let values: ArrayRef = Arc::new(Int64Array::from(vec![7; ELEMENTS]));
            let lists = ListArray::new(
                Arc::clone(&element),
                OffsetBuffer::from_lengths([ELEMENTS]),
                values,
                None,
            );
            let batch = RecordBatch::try_from_iter([("text", texts), ("list", Arc::new(lists) as ArrayRef)]);
            unnest.apply(&batch.expect("a row")).map(|rows| rows.num_rows())
        };
        let just = UNNEST_BYTES_MAX / ELEMENTS - 2 * CELL_BYTES;
        assert_eq!(rows(just).expect("as many as may be"), ELEMENTS);
        let error = rows(just + 1).expect_err("too many").to_string();
        assert!(error.contains("select less beside unnest(…)"), "{error}");
    }
}

//! What of a view's columns is asked for, and the lists that it takes entries to show.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, UInt64Array, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use headwater_stores::{Direction, Span};

use super::{EntriesOf, Keeping};
use crate::fold::stage::Stage;
use crate::query::refused_but;
use crate::{ListsShown, ViewError};

/// What of a column is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// Of a list, the elements from one on up to another, as `list[from:to]` counts them: from 1, and backwards from the end where negative.
    Page {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Of a list, how many elements it has.
    Length,
}

/// A column that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Its place among the columns of the view.
    pub column: usize,
    /// What of it.
    pub part: Part,
}

/// A column of a view's rows that is a list kept as entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListColumn {
    /// Its place among the columns of the rows.
    pub column: usize,
    /// The number of its aggregate.
    pub aggregate: usize,
}

/// The places of a list's elements that a page has, counted from 0.
pub fn page(length: u64, from: i64, to: i64) -> Range<u64> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let first = match from < 0 {
        true => from.saturating_add(length).max(0),
        false => (from - 1).max(0),
    };
    let end = match to < 0 {
        true => to.saturating_add(length).saturating_add(1),
        false => to.min(length),
    };
    match first < end {
        true => first as u64..end as u64,
        false => 0..0,
    }
}

/// The schema of what is shown of rows.
pub(crate) fn shown_schema(rows: &SchemaRef, shown: Option<&[Shown]>) -> SchemaRef {
    let Some(shown) = shown else {
        return Arc::clone(rows);
    };
    let field = |shown: &Shown| -> FieldRef {
        let field = Arc::clone(&rows.fields()[shown.column]);
        match shown.part {
            Part::Whole | Part::Page { .. } => field,
            Part::Length => Arc::new(Field::new(field.name(), DataType::UInt64, true)),
        }
    };
    Arc::new(Schema::new(shown.iter().map(field).collect::<Vec<FieldRef>>()))
}

/// Which columns of the rows are lists. They are passed on as they are, or refused: what is made of a list would have to read all of it.
pub(crate) fn list_columns(keys: usize, lists: &[usize], finish: &[Stage]) -> Result<Vec<ListColumn>, ViewError> {
    let mut columns: Vec<ListColumn> = Vec::new();
    for aggregate in lists {
        columns.push(ListColumn {
            column: keys + aggregate,
            aggregate: *aggregate,
        });
    }
    for stage in finish {
        let reads = |expression: &crate::fold::stage::Physical| {
            let read = collect_columns(expression);
            columns
                .iter()
                .any(|list| read.iter().any(|column| column.index() == list.column))
        };
        let is_column = |expression: &crate::fold::stage::Physical| expression.downcast_ref::<Column>().is_some();
        let is_filter = matches!(stage, Stage::Filter(_));
        if stage
            .expressions()
            .iter()
            .any(|made| reads(made) && (is_filter || !is_column(made)))
        {
            return Err(refused_but(
                "an expression over array_agg(…)",
                "select the array as it is, and work on it when it is read: array_length(list), list[1:20], unnest(list)",
            ));
        }
        let Stage::Project(made, _) = stage else { continue };
        let mut moved: Vec<ListColumn> = Vec::new();
        for (column, made) in made.iter().enumerate() {
            let place = made.downcast_ref::<Column>().map(Column::index);
            let of = columns.iter().find(|list| Some(list.column) == place);
            moved.extend(of.map(|list| ListColumn { column, ..*list }));
        }
        columns = moved;
    }
    Ok(columns)
}

/// Makes the lists of rows.
pub(crate) struct Lists<'a> {
    entries: EntriesOf<'a>,
    /// How many elements are shown so far,
    elements: Cell<u64>,
    /// and how many bytes of them.
    bytes: Cell<u64>,
    most: ListsShown,
}

impl<'a> Lists<'a> {
    /// Those of entries, and no more of them than may be shown at once.
    pub(crate) fn of(entries: EntriesOf<'a>, most: ListsShown) -> Lists<'a> {
        Lists {
            entries,
            elements: Cell::new(0),
            bytes: Cell::new(0),
            most,
        }
    }

    /// A part of a list of each of some rows, which have so many elements.
    pub(crate) fn part(
        &self,
        (keeping, number): (&Keeping, u16),
        keys: &[&[u8]],
        counts: &Int64Array,
        field: &FieldRef,
        part: Part,
    ) -> Result<ArrayRef, ViewError> {
        let has_any = |count: i64| count > 0;
        let (from, to) = match part {
            Part::Whole => (1, i64::MAX),
            Part::Page { from, to } => (from, to),
            Part::Length => {
                let lengths = counts
                    .values()
                    .iter()
                    .map(|count| has_any(*count).then_some(*count as u64));
                return Ok(Arc::new(UInt64Array::from_iter(lengths)));
            }
        };
        let Keeping::List(converter) = keeping else {
            return Err(ViewError::Failed("a list was asked of what is none".to_owned()));
        };
        let pages: Vec<Range<u64>> = counts
            .values()
            .iter()
            .map(|count| page(*count as u64, from, to))
            .collect();
        let elements = pages.iter().map(|page| page.end - page.start).sum();
        take(&self.elements, elements, self.most.elements_max, "elements")?;
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut lengths: Vec<usize> = Vec::with_capacity(keys.len());
        for ((key, page), count) in keys.iter().zip(&pages).zip(counts.values()) {
            let before = values.len();
            self.read(key, number, page, *count as u64, &mut values)?;
            lengths.push(values.len() - before);
        }
        let nulls: NullBuffer = counts.values().iter().map(|count| has_any(*count)).collect();
        list_array(field, converter, &values, lengths, nulls).map_err(|error| ViewError::Failed(error.to_string()))
    }

    /// The values of a page of one list, read from the nearer end.
    fn read(
        &self,
        key: &[u8],
        number: u16,
        page: &Range<u64>,
        count: u64,
        values: &mut Vec<Vec<u8>>,
    ) -> Result<(), ViewError> {
        let wanted = (page.end - page.start) as usize;
        if wanted == 0 {
            return Ok(());
        }
        let behind = count - page.end;
        let (direction, passed) = match page.start <= behind {
            true => (Direction::Ascending, page.start),
            false => (Direction::Descending, behind),
        };
        let first = values.len();
        let entries = self.entries.of(key, &Span::prefix(&number.to_be_bytes()), direction);
        for entry in entries.skip(passed as usize).take(wanted) {
            let (_, value) = entry?;
            take(&self.bytes, value.len() as u64, self.most.bytes_max, "bytes")?;
            values.push(value);
        }
        if values.len() - first < wanted {
            return Err(ViewError::Failed(format!(
                "a list of {count} elements lacks some: stop the program and delete the view's folder, it is derived again from the log"
            )));
        }
        if direction == Direction::Descending {
            values[first..].reverse();
        }
        Ok(())
    }
}

/// Counts what is shown, and refuses what is too much.
fn take(shown: &Cell<u64>, more: u64, most: u64, of_what: &str) -> Result<(), ViewError> {
    shown.set(shown.get().saturating_add(more));
    match shown.get() <= most {
        true => Ok(()),
        false => Err(ViewError::Asked(format!(
            "the lists asked for have more than {most} {of_what} together, the most that are shown at once: ask for a page of each \
             (list[1:20]), for their lengths (array_length(list)), or for fewer rows"
        ))),
    }
}

fn list_array(
    field: &FieldRef,
    converter: &RowConverter,
    values: &[Vec<u8>],
    lengths: Vec<usize>,
    nulls: NullBuffer,
) -> Result<ArrayRef, ArrowError> {
    let DataType::List(element) = field.data_type() else {
        return Err(ArrowError::InvalidArgumentError(format!(
            "{} is no list",
            field.data_type()
        )));
    };
    let elements = match values.is_empty() {
        true => new_empty_array(element.data_type()),
        false => {
            let parser = converter.parser();
            converter
                .convert_rows(values.iter().map(|value| parser.parse(value)))?
                .swap_remove(0)
        }
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(element),
        offsets,
        elements,
        nulls,
    )?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray};
    use arrow::row::SortField;

    use super::*;
    use crate::rows::entries::Pending;

    #[test]
    fn a_page_is_counted_from_one_and_backwards_from_the_end() {
        let check = |length: u64, from: i64, to: i64, expected: Range<u64>| {
            assert_eq!(page(length, from, to), expected, "{length}[{from}:{to}]");
        };
        check(5, 1, 3, 0..3);
        check(5, 0, 3, 0..3);
        check(5, 4, 100, 3..5);
        check(5, 6, 7, 0..0);
        check(5, 3, 2, 0..0);
        check(5, 1, 0, 0..0);
        check(5, -2, i64::MAX, 3..5);
        check(5, -2, -1, 3..5);
        check(5, -2, -2, 3..4);
        check(5, -9, 2, 0..2);
        check(5, 1, -9, 0..0);
        check(0, 1, 3, 0..0);
        check(0, -1, -1, 0..0);
        check(5, i64::MIN, i64::MAX, 0..5);
        check(5, i64::MAX, i64::MIN, 0..0);
    }

    #[test]
    fn so_much_is_shown_at_once_and_no_more() {
        let values = RowConverter::new(vec![SortField::new(DataType::Int64)]).expect("a converter");
        let value = |number: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![number]));
            let rows = values.convert_columns(&[column]).expect("a row");
            rows.row(0).data().to_vec()
        };
        let mut pending = Pending::default();
        for number in 0..5 {
            pending.put(b"a", &[0, 0, number], &value(i64::from(number)));
        }
        let keeping = Keeping::List(values);
        let element = Arc::new(Field::new_list_field(DataType::Int64, true));
        let field: FieldRef = Arc::new(Field::new("list", DataType::List(element), true));
        // A number takes nine bytes.
        let read = |elements: u64, bytes: u64, part: Part| {
            let entries = EntriesOf {
                pending: &pending,
                store: None,
            };
            let most = ListsShown {
                elements_max: elements,
                bytes_max: bytes,
            };
            let lists = Lists::of(entries, most);
            let list = lists.part((&keeping, 0), &[b"a"], &Int64Array::from(vec![5]), &field, part);
            list.map(|list| list.as_list::<i32>().value(0).len())
        };
        assert_eq!(read(5, 45, Part::Whole).expect("as much as may be"), 5);
        for (elements, bytes, said) in [(4, 45, "more than 4 elements"), (5, 44, "more than 44 bytes")] {
            let error = read(elements, bytes, Part::Whole).expect_err("too much").to_string();
            assert!(
                error.contains(said) && error.contains("ask for a page of each (list[1:20])"),
                "{error}"
            );
            let page = Part::Page { from: 2, to: 5 };
            assert_eq!(read(elements, bytes, page).expect("a page"), 4);
        }
    }
}

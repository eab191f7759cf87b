//! Which keys of a view a filter asks for: `=`, `IN`, comparisons (of rows, too), prefixes and tests for NULL on its key columns.
//!
//! ```text
//! key (a, b, c)     a = 1 AND b IN (2, 3) AND c = 4     keys       (1,2,4) (1,3,4)
//!                   a = 1 AND b IN (2, 3) AND c > 4     spans      (1,2,4…) (1,3,4…)
//!                   a = 1                               one span   (1…)
//!                   a = 1 AND (b, c) > (2, 3)           spans      (1,2,3…) (1,2…)
//!                   b = 2                               any key may be meant
//! ```
//!
//! Invariants
//! - A filter counts as a key filter only where the rows of these keys are exactly those that the filter lets through.
//! - One that is a key filter among some filters is one among more: the optimizer offers them bit by bit, and asks in the end by all that were taken.
//!   Where it has written one otherwise meanwhile, it is one of the rest ([`super::rest`]).

use std::collections::HashSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use headwater_views::{GroupKey, Selection, Span, View, behind};

use super::compared_rows::{Row, row};
use super::said::{Bound, Said, said};
use crate::SqlError;
use crate::limits::KEYS_PUSHED_MAX;

/// The key of a view as filters speak of it: name and type of each column; none where the key is not part of the view's rows.
pub(super) struct KeyColumns(Vec<(String, DataType)>);

/// A row that a filter asks for.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) key: GroupKey,
    /// The values of the key's columns.
    pub(super) values: Vec<ScalarValue>,
}

/// What filters ask for.
pub(super) struct Asked {
    pub(super) selection: Selection,
    /// For each column of the key, whether all rows have the same value in it.
    pub(super) fixed: Vec<bool>,
}

/// What filters say of the first columns of a key.
struct Beginning {
    /// For each filter, whether it is a part of this.
    taken: Vec<bool>,
    /// The values of the first columns.
    values: Vec<Vec<ScalarValue>>,
    /// What is said of the column behind them.
    from: Option<Bound>,
    to: Option<Bound>,
    /// Whether that lets no NULL through.
    is_not_null: bool,
    /// What is said of that column and those behind it.
    rows: Vec<Row>,
}

impl KeyColumns {
    /// Those of a view.
    pub(super) fn of(view: &View) -> KeyColumns {
        let schema = view.schema();
        let column = |index: &usize| {
            let field = schema.field(*index);
            (field.name().clone(), field.data_type().clone())
        };
        KeyColumns(view.key_columns().iter().map(column).collect())
    }

    /// Which filters are answered by which keys are read.
    pub(super) fn pushed(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let taken = self.beginning(filters).taken;
        let pushed = taken.iter().map(|taken| match taken {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        pushed.collect()
    }

    /// The filters that no read of keys answers.
    pub(super) fn rest(&self, filters: &[Expr]) -> Vec<Expr> {
        let taken = self.beginning(&filters.iter().collect::<Vec<&Expr>>()).taken;
        let rest = filters.iter().zip(taken).filter(|(_, taken)| !taken);
        rest.map(|(filter, _)| filter.clone()).collect()
    }

    /// The rows asked for, each once; `None` where any may be.
    pub(super) fn wanted(&self, view: &View, filters: &[Expr]) -> Result<Option<Vec<Wanted>>> {
        let beginning = self.beginning(&filters.iter().collect::<Vec<&Expr>>());
        if self.0.is_empty() || beginning.values.len() < self.0.len() {
            return Ok(None);
        }
        let mut known: HashSet<GroupKey> = HashSet::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for values in combinations(&beginning.values) {
            let key = view.key(&values).map_err(SqlError::from)?;
            if known.insert(key.clone()) {
                wanted.push(Wanted { key, values });
            }
        }
        Ok(Some(wanted))
    }

    /// What is to be read for filters that were pushed.
    pub(super) fn asked(&self, view: &View, filters: &[Expr]) -> Result<Asked> {
        if view.has_one_row() {
            let selection = Selection::Keys(vec![GroupKey(Vec::new())]);
            let fixed = Vec::new();
            return Ok(Asked { selection, fixed });
        }
        let beginning = self.beginning(&filters.iter().collect::<Vec<&Expr>>());
        let mut fixed: Vec<bool> = beginning.values.iter().map(|values| values.len() == 1).collect();
        fixed.resize(self.0.len(), false);
        if let Some(wanted) = self.wanted(view, filters)? {
            let keys = wanted.into_iter().map(|wanted| wanted.key).collect();
            let selection = Selection::Keys(keys);
            return Ok(Asked { selection, fixed });
        }
        let selection = match beginning.taken.contains(&true) {
            true => Selection::Spans(beginning.spans(view, &self.0)?),
            false => Selection::All,
        };
        Ok(Asked { selection, fixed })
    }

    fn beginning(&self, filters: &[&Expr]) -> Beginning {
        let said: Vec<Option<(usize, Said)>> = filters.iter().map(|filter| said(filter, &self.0)).collect();
        let mut beginning = Beginning {
            taken: vec![false; filters.len()],
            values: Vec::new(),
            from: None,
            to: None,
            is_not_null: false,
            rows: Vec::new(),
        };
        let mut keys: usize = 1;
        for column in 0..self.0.len() {
            let of_column = || {
                said.iter().enumerate().filter_map(|(filter, said)| {
                    let (at, said) = said.as_ref()?;
                    (*at == column).then_some((filter, said))
                })
            };
            // All of them together: which are offered with which, nobody knows.
            let Some(together) = of_column().map(|(_, said)| said.clone()).reduce(Said::and) else {
                break;
            };
            let goes_on = match together {
                Said::Values(values) => {
                    keys = keys.saturating_mul(values.len().max(1));
                    if keys > KEYS_PUSHED_MAX {
                        break;
                    }
                    beginning.values.push(values);
                    true
                }
                Said::Between(from, to) => {
                    beginning.from = from;
                    beginning.to = to;
                    beginning.is_not_null = true;
                    false
                }
            };
            of_column().for_each(|(filter, _)| beginning.taken[filter] = true);
            if !goes_on {
                break;
            }
        }
        for (filter, taken) in filters.iter().zip(&mut beginning.taken) {
            let row = row(filter, &self.0).filter(|row| row.first == beginning.values.len());
            *taken |= row.is_some();
            beginning.rows.extend(row);
        }
        beginning
    }
}

impl Beginning {
    /// The spans of keys that begin so, in order.
    fn spans(&self, view: &View, columns: &[(String, DataType)]) -> Result<Vec<Span>> {
        let mut spans: Vec<Span> = Vec::new();
        for values in combinations(&self.values) {
            let bytes = |last: Option<&ScalarValue>| {
                let values: Vec<ScalarValue> = values.iter().chain(last).cloned().collect();
                view.key_beginning(&values).map_err(SqlError::from)
            };
            let beginning = bytes(None)?;
            let mut span = Span::prefix(&beginning);
            if let Some(from) = &self.from {
                let at = bytes(Some(&from.value))?;
                span.from = match from.is_included {
                    true => at,
                    false => behind(&at).unwrap_or(at),
                };
            }
            let null = ScalarValue::try_from(&columns[values.len()].1)?;
            match &self.to {
                Some(to) => {
                    let at = bytes(Some(&to.value))?;
                    span.to = match to.is_included {
                        true => behind(&at),
                        false => Some(at),
                    };
                }
                // NULL is beyond every value, and no comparison lets it through.
                None if self.is_not_null => span.to = Some(bytes(Some(&null))?),
                None => {}
            }
            let mut left = vec![span];
            for row in &self.rows {
                let bytes = |row: &[ScalarValue]| {
                    let values: Vec<ScalarValue> = values.iter().chain(row).cloned().collect();
                    Ok(view.key_beginning(&values).map_err(SqlError::from)?)
                };
                let each = left.iter().map(|span| row.within(span, columns, bytes));
                left = each.collect::<Result<Vec<Vec<Span>>>>()?.concat();
            }
            spans.extend(left.into_iter().filter(|span| !span.is_empty()));
        }
        spans.sort();
        spans.dedup();
        Ok(spans)
    }
}

/// The values of the one column of a key that filters let through; `None` where it may have any.
pub(crate) fn key_values(filters: &[&Expr], column: &str, data_type: &DataType) -> Option<Vec<ScalarValue>> {
    let columns = [(column.to_owned(), data_type.clone())];
    let values = filters.iter().find_map(|filter| match said(filter, &columns) {
        Some((_, Said::Values(values))) => Some(values),
        _ => None,
    })?;
    let is_bounded = values.len() <= KEYS_PUSHED_MAX;
    // A test for NULL asks for no value.
    (is_bounded && !values.iter().any(ScalarValue::is_null)).then_some(values)
}

/// The texts that a filter lets through in one column of texts; `None` where it may let others through.
pub(super) fn texts(filter: &Expr, column: &str) -> Option<Vec<String>> {
    let columns = [(column.to_owned(), DataType::Utf8)];
    let Some((_, Said::Values(values))) = said(filter, &columns) else {
        return None;
    };
    let text = |value: ScalarValue| value.try_as_str().flatten().map(str::to_owned);
    values.into_iter().map(text).collect()
}

/// Every combination of values of columns, in the order of the columns.
pub(super) fn combinations<T: Clone>(columns: &[Vec<T>]) -> Vec<Vec<T>> {
    let mut rows: Vec<Vec<T>> = vec![Vec::new()];
    for values in columns {
        let mut longer: Vec<Vec<T>> = Vec::new();
        for row in &rows {
            for value in values {
                let mut row = row.clone();
                row.push(value.clone());
                longer.push(row);
            }
        }
        rows = longer;
    }
    rows
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn columns(columns: &[(&str, DataType)]) -> KeyColumns {
        let owned = |(name, data_type): &(&str, DataType)| ((*name).to_owned(), data_type.clone());
        KeyColumns(columns.iter().map(owned).collect())
    }

    /// How many first columns have so many values, and which filters that and the bounds behind it come of.
    fn check(filters: &[Expr], key: &[(&str, DataType)], values: &[usize], taken: &[bool]) {
        let found = columns(key).beginning(&filters.iter().collect::<Vec<&Expr>>());
        let counts: Vec<usize> = found.values.iter().map(Vec::len).collect();
        assert_eq!(
            (counts.as_slice(), found.taken.as_slice()),
            (values, taken),
            "{filters:?}"
        );
    }

    #[test]
    fn filters_on_the_first_columns_say_which_keys_are_read() {
        let one = [("account", DataType::Utf8)];
        let two = [("account", DataType::Utf8), ("day", DataType::Int32)];
        let of_a = || col("account").eq(lit("a"));
        let days = || col("day").in_list(vec![lit(1_i32), lit(2_i32)], false);
        check(&[of_a()], &one, &[1], &[true]);
        check(&[of_a(), of_a()], &one, &[1], &[true, true]);
        check(&[of_a(), col("account").gt(lit("b"))], &one, &[0], &[true, true]);
        check(&[col("account").eq(lit(ScalarValue::Utf8(None)))], &one, &[0], &[true]);
        check(&[col("account").gt(lit("a"))], &one, &[], &[true]);
        check(&[of_a()], &two, &[1], &[true]);
        check(&[of_a(), days()], &two, &[1, 2], &[true, true]);
        check(&[days(), of_a()], &two, &[1, 2], &[true, true]);
        check(&[days()], &two, &[], &[false]);
        check(
            &[of_a(), col("day").gt(lit(1_i32)), col("day").lt_eq(lit(9_i32))],
            &two,
            &[1],
            &[true; 3],
        );
        check(
            &[of_a(), col("day").gt(lit(1_i32)), col("day").gt(lit(2_i32))],
            &two,
            &[1],
            &[true; 3],
        );
        check(&[col("account").gt(lit("a")), days()], &two, &[], &[true, false]);
        check(&[col("day").eq(lit(1.5_f64)), of_a()], &two, &[1], &[false, true]);
        check(&[col("other").eq(lit("a"))], &one, &[], &[false]);
        check(&[], &[], &[], &[]);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let list = |count: usize| (0..count).map(|value| lit(value as i32)).collect::<Vec<Expr>>();
        let column = [("n", DataType::Int32)];
        check(
            &[col("n").in_list(list(KEYS_PUSHED_MAX), false)],
            &column,
            &[KEYS_PUSHED_MAX],
            &[true],
        );
        check(
            &[col("n").in_list(list(KEYS_PUSHED_MAX + 1), false)],
            &column,
            &[],
            &[false],
        );
    }
}

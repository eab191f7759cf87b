//! Which keys of a view a filter asks for: `=` and `IN` of constants on its key columns.
//!
//! Invariant: a filter counts as a key filter only where looking the keys up gives exactly the rows that the filter lets through.

use std::collections::HashSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use headwater_views::{GroupKey, View};

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

    /// Which filters are answered by looking keys up.
    pub(super) fn pushed(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let found = key_filters(filters, &self.0);
        let pushed = found.iter().map(|key_filter| match key_filter {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        });
        pushed.collect()
    }

    /// The rows asked for, each once; `None` where any may be.
    pub(super) fn wanted(&self, view: &View, filters: &[Expr]) -> Result<Option<Vec<Wanted>>> {
        let filters: Vec<&Expr> = filters.iter().collect();
        let found = key_filters(&filters, &self.0);
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut known: HashSet<GroupKey> = HashSet::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for values in combinations(&found, self.0.len()) {
            let key = view.key(&values).map_err(SqlError::from)?;
            if known.insert(key.clone()) {
                wanted.push(Wanted { key, values });
            }
        }
        Ok(Some(wanted))
    }
}

/// The values of the one column of a key that filters let through; `None` where it may have any.
pub(crate) fn key_values(filters: &[&Expr], column: &str, data_type: &DataType) -> Option<Vec<ScalarValue>> {
    let columns = [(column.to_owned(), data_type.clone())];
    let found = key_filters(filters, &columns).into_iter().flatten().next();
    found.map(|(_, values)| values)
}

/// The texts that a filter lets through in one column of texts; `None` where it may let others through.
pub(super) fn texts(filter: &Expr, column: &str) -> Option<Vec<String>> {
    let columns = [(column.to_owned(), DataType::Utf8)];
    let (_, values) = key_filters(&[filter], &columns).into_iter().next().flatten()?;
    let text = |value: ScalarValue| value.try_as_str().flatten().map(str::to_owned);
    values.into_iter().map(text).collect()
}

/// For each filter, the key column it fixes and the values it lets through; `None` where it is no key filter.
fn key_filters(filters: &[&Expr], columns: &[(String, DataType)]) -> Vec<Option<(usize, Vec<ScalarValue>)>> {
    let mut found: Vec<Option<(usize, Vec<ScalarValue>)>> = Vec::new();
    let mut fixed: HashSet<usize> = HashSet::new();
    for filter in filters {
        let key_filter = values_of(filter).and_then(|(column, values)| {
            let index = columns.iter().position(|(name, _)| *name == column)?;
            let values: Vec<ScalarValue> = values
                .into_iter()
                .map(|value| exact(value, &columns[index].1))
                .collect::<Option<_>>()?;
            // A second filter on the same column stays above the scan.
            fixed.insert(index).then_some((index, values))
        });
        found.push(key_filter);
    }
    let keys = found
        .iter()
        .flatten()
        .map(|(_, values)| values.len().max(1))
        .try_fold(1usize, usize::checked_mul);
    let looked_up =
        fixed.len() == columns.len() && !columns.is_empty() && keys.is_some_and(|keys| keys <= KEYS_PUSHED_MAX);
    match looked_up {
        true => found,
        false => filters.iter().map(|_| None).collect(),
    }
}

/// Every combination of the values of all key columns, in the order of the columns.
fn combinations(filters: &[Option<(usize, Vec<ScalarValue>)>], columns: usize) -> Vec<Vec<ScalarValue>> {
    let mut rows: Vec<Vec<ScalarValue>> = vec![Vec::new()];
    for column in 0..columns {
        let values = filters
            .iter()
            .flatten()
            .find(|(index, _)| *index == column)
            .map(|(_, values)| values.as_slice());
        let mut longer: Vec<Vec<ScalarValue>> = Vec::new();
        for row in &rows {
            for value in values.unwrap_or_default() {
                let mut row = row.clone();
                row.push(value.clone());
                longer.push(row);
            }
        }
        rows = longer;
    }
    rows
}

/// The one column that an expression compares with constants, and the constants it lets through. NULL lets nothing through.
fn values_of(expr: &Expr) -> Option<(String, Vec<ScalarValue>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                Some((column.name.clone(), known([value.clone()])))
            }
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            let (column, mut values) = values_of(left)?;
            let (other, more) = values_of(right)?;
            values.extend(more);
            (column == other).then_some((column, values))
        }
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = list.expr.as_ref() else {
                return None;
            };
            let mut values: Vec<ScalarValue> = Vec::new();
            for item in &list.list {
                let Expr::Literal(value, _) = item else { return None };
                values.push(value.clone());
            }
            Some((column.name.clone(), known(values)))
        }
        _ => None,
    }
}

fn known(values: impl IntoIterator<Item = ScalarValue>) -> Vec<ScalarValue> {
    values.into_iter().filter(|value| !value.is_null()).collect()
}

/// The value in the column's type where equality stays the same thing: texts among themselves, otherwise the same type.
/// Floats are left out: 0.0 and -0.0 are equal and have different keys.
fn exact(value: ScalarValue, column: &DataType) -> Option<ScalarValue> {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    if matches!(column, DataType::Float16 | DataType::Float32 | DataType::Float64) {
        return None;
    }
    if value.data_type() == *column {
        return Some(value);
    }
    if text(&value.data_type()) && text(column) {
        value.cast_to(column).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn check(filters: &[Expr], columns: &[(&str, DataType)], expected: Option<usize>) {
        let columns: Vec<(String, DataType)> = columns
            .iter()
            .map(|(name, data_type)| ((*name).to_owned(), data_type.clone()))
            .collect();
        let filters: Vec<&Expr> = filters.iter().collect();
        let found = key_filters(&filters, &columns);
        let keys = found
            .iter()
            .any(Option::is_some)
            .then(|| combinations(&found, columns.len()).len());
        assert_eq!(keys, expected, "{filters:?}");
    }

    #[test]
    fn only_filters_that_fix_every_key_column_are_looked_up() {
        let one = [("account", DataType::Utf8)];
        let two = [("account", DataType::Utf8), ("day", DataType::Int32)];
        check(&[col("account").eq(lit("a"))], &one, Some(1));
        check(&[lit("a").eq(col("account"))], &one, Some(1));
        check(
            &[col("account").in_list(vec![lit("a"), lit("b")], false)],
            &one,
            Some(2),
        );
        check(
            &[col("account").eq(lit("a")).or(col("account").eq(lit("b")))],
            &one,
            Some(2),
        );
        check(&[col("account").eq(lit(ScalarValue::Utf8(None)))], &one, Some(0));
        check(&[col("account").gt(lit("a"))], &one, None);
        check(&[col("account").in_list(vec![lit("a")], true)], &one, None);
        check(&[col("account").eq(col("other"))], &one, None);
        check(&[col("other").eq(lit("a"))], &one, None);
        check(&[col("account").eq(lit("a"))], &two, None);
        check(
            &[
                col("account").eq(lit("a")),
                col("day").in_list(vec![lit(1_i32), lit(2_i32)], false),
            ],
            &two,
            Some(2),
        );
        check(&[col("day").eq(lit(1.5_f64)), col("account").eq(lit("a"))], &two, None);
        check(&[col("x").eq(lit(0.0_f64))], &[("x", DataType::Float64)], None);
        check(&[], &[], None);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let list = |count: usize| (0..count).map(|value| lit(value as i32)).collect::<Vec<Expr>>();
        let column = [("n", DataType::Int32)];
        check(
            &[col("n").in_list(list(KEYS_PUSHED_MAX), false)],
            &column,
            Some(KEYS_PUSHED_MAX),
        );
        check(&[col("n").in_list(list(KEYS_PUSHED_MAX + 1), false)], &column, None);
    }
}

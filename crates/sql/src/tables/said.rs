//! What a filter says of one column: the values that it lets through, or the bounds between which they are.
//!
//! Invariant: the filter lets through exactly the rows of which that holds. NULL is let through by a test for it alone.

use std::cmp::Ordering;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// What is said of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// It has one of these values.
    Values(Vec<ScalarValue>),
    /// It is not NULL, and within these bounds.
    Between(Option<Bound>, Option<Bound>),
}

/// A value up to which, or from which on, a column is let through.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) value: ScalarValue,
    pub(super) is_included: bool,
}

impl Said {
    /// What both together say of their column.
    pub(super) fn and(self, other: Said) -> Said {
        match (self, other) {
            (Said::Between(from, to), Said::Between(more_from, more_to)) => Said::Between(
                narrower(from, more_from, Ordering::Greater),
                narrower(to, more_to, Ordering::Less),
            ),
            (Said::Values(mut values), other) | (other, Said::Values(mut values)) => {
                values.retain(|value| other.lets_through(value));
                Said::Values(values)
            }
        }
    }

    fn lets_through(&self, value: &ScalarValue) -> bool {
        match self {
            Said::Values(values) => values.contains(value),
            Said::Between(from, to) => {
                let is_within = |bound: &Option<Bound>, beyond: Ordering| {
                    let ordering = |bound: &Bound| value.partial_cmp(&bound.value);
                    bound.as_ref().is_none_or(|bound| match ordering(bound) {
                        Some(Ordering::Equal) => bound.is_included,
                        ordering => ordering == Some(beyond),
                    })
                };
                !value.is_null() && is_within(from, Ordering::Greater) && is_within(to, Ordering::Less)
            }
        }
    }
}

/// Of two bounds on one side the one that lets less through. `inwards`: how a value within compares with a bound.
fn narrower(one: Option<Bound>, other: Option<Bound>, inwards: Ordering) -> Option<Bound> {
    let (Some(one), Some(other)) = (&one, &other) else {
        return one.or(other);
    };
    let is_other = match other.value.partial_cmp(&one.value) {
        Some(Ordering::Equal) => !other.is_included,
        ordering => ordering == Some(inwards),
    };
    Some(if is_other { other.clone() } else { one.clone() })
}

/// What a filter says of one of these columns, and of which. `None`: nothing of one of them alone, or nothing that can be said so.
pub(super) fn said(filter: &Expr, columns: &[(String, DataType)]) -> Option<(usize, Said)> {
    let (name, said) = of_column(filter)?;
    let column = columns.iter().position(|(known, _)| known == name)?;
    let data_type = &columns[column].1;
    let bound = |bound: Option<Bound>| match bound {
        None => Some(None),
        Some(Bound { value, is_included }) => Some(Some(Bound {
            value: exact(value, data_type)?,
            is_included,
        })),
    };
    let said = match said {
        Said::Values(values) => {
            let values: Option<Vec<ScalarValue>> = values.into_iter().map(|value| exact(value, data_type)).collect();
            Said::Values(values?)
        }
        Said::Between(from, to) => Said::Between(bound(from)?, bound(to)?),
    };
    Some((column, said))
}

fn of_column(filter: &Expr) -> Option<(&str, Said)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            // What is never true lets nothing through.
            match (is_never(left), is_never(right)) {
                (false, false) => {}
                (true, false) => return of_column(right),
                (false, true) => return of_column(left),
                (true, true) => return None,
            }
            let (Some((column, Said::Values(mut values))), Some((other, Said::Values(more)))) =
                (of_column(left), of_column(right))
            else {
                return None;
            };
            values.extend(more);
            (column == other).then_some((column, Said::Values(values)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => Some((&column.name, compared(*op, value)?)),
            (Expr::Literal(value, _), Expr::Column(column)) => Some((&column.name, compared(op.swap()?, value)?)),
            _ => None,
        },
        Expr::InList(list) if !list.negated => {
            let mut values: Vec<ScalarValue> = Vec::new();
            for item in &list.list {
                let Expr::Literal(value, _) = item else { return None };
                values.push(value.clone());
            }
            Some((name_of(&list.expr)?, Said::Values(known(values))))
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => match (low.as_ref(), high.as_ref()) {
            (Expr::Literal(low, _), Expr::Literal(high, _)) if low.is_null() || high.is_null() => {
                Some((name_of(expr)?, Said::Values(Vec::new())))
            }
            (Expr::Literal(low, _), Expr::Literal(high, _)) => {
                let said = Said::Between(Some(bound(low, true)), Some(bound(high, true)));
                Some((name_of(expr)?, said))
            }
            _ => None,
        },
        Expr::Like(like) => Some((name_of(&like.expr)?, prefixed(like)?)),
        Expr::Column(column) => Some((&column.name, Said::Values(vec![ScalarValue::from(true)]))),
        Expr::Not(column) => Some((name_of(column)?, Said::Values(vec![ScalarValue::from(false)]))),
        Expr::IsTrue(column) => Some((name_of(column)?, Said::Values(vec![ScalarValue::from(true)]))),
        Expr::IsFalse(column) => Some((name_of(column)?, Said::Values(vec![ScalarValue::from(false)]))),
        // The type is the column's, see `exact`.
        Expr::IsNull(column) => Some((name_of(column)?, Said::Values(vec![ScalarValue::Null]))),
        Expr::IsNotNull(column) => Some((name_of(column)?, Said::Between(None, None))),
        _ => None,
    }
}

/// Whether it is false or unknown of every row.
fn is_never(filter: &Expr) -> bool {
    match filter {
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => false,
        Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _) => true,
        _ => false,
    }
}

fn name_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

fn bound(value: &ScalarValue, is_included: bool) -> Bound {
    let value = value.clone();
    Bound { value, is_included }
}

fn compared(operator: Operator, value: &ScalarValue) -> Option<Said> {
    let said = match operator {
        Operator::Eq => Said::Values(vec![value.clone()]),
        Operator::Lt => Said::Between(None, Some(bound(value, false))),
        Operator::LtEq => Said::Between(None, Some(bound(value, true))),
        Operator::Gt => Said::Between(Some(bound(value, false)), None),
        Operator::GtEq => Said::Between(Some(bound(value, true)), None),
        _ => return None,
    };
    // Nothing compares with NULL.
    Some(match value.is_null() {
        true => Said::Values(Vec::new()),
        false => said,
    })
}

fn known(values: impl IntoIterator<Item = ScalarValue>) -> Vec<ScalarValue> {
    values.into_iter().filter(|value| !value.is_null()).collect()
}

/// A pattern that is a text and then anything: the texts from that one on, up to the first that does not begin with it.
fn prefixed(like: &Like) -> Option<Said> {
    let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
        return None;
    };
    let prefix = pattern.try_as_str().flatten()?.strip_suffix('%')?;
    let is_plain = !like.negated && !like.case_insensitive && like.escape_char.is_none();
    if !is_plain || prefix.contains(['%', '_', '\\']) {
        return None;
    }
    let text = |text: String| ScalarValue::Utf8(Some(text));
    let from = (!prefix.is_empty()).then(|| bound(&text(prefix.to_owned()), true));
    let to = next_text(prefix).map(|next| bound(&text(next), false));
    Some(Said::Between(from, to))
}

/// The first text behind all that begin with `prefix`; `None` where there is none.
fn next_text(prefix: &str) -> Option<String> {
    let mut rest = prefix;
    while let Some(last) = rest.chars().next_back() {
        rest = &rest[..rest.len() - last.len_utf8()];
        // Ranges of characters leave out the surrogates, which are none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            return Some(format!("{rest}{next}"));
        }
    }
    None
}

/// The value in the column's type where comparing stays the same thing: texts among themselves, otherwise the same type.
/// Floats are left out: 0.0 and -0.0 are equal and have different keys. So are lists and rows, which have no one order.
fn exact(value: ScalarValue, column: &DataType) -> Option<ScalarValue> {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    if value == ScalarValue::Null {
        return ScalarValue::try_from(column).ok();
    }
    if column.is_floating() || column.is_nested() {
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

    fn check(filter: &Expr, expected: Option<Said>) {
        let columns = [
            ("k".to_owned(), DataType::Utf8),
            ("n".to_owned(), DataType::Int32),
            ("x".to_owned(), DataType::Float64),
            ("b".to_owned(), DataType::Boolean),
        ];
        assert_eq!(said(filter, &columns).map(|(_, said)| said), expected, "{filter}");
    }

    fn values(values: &[ScalarValue]) -> Option<Said> {
        Some(Said::Values(values.to_vec()))
    }

    fn between(from: Option<(ScalarValue, bool)>, to: Option<(ScalarValue, bool)>) -> Option<Said> {
        let bound = |(value, is_included)| Bound { value, is_included };
        Some(Said::Between(from.map(bound), to.map(bound)))
    }

    #[test]
    fn what_filters_say() {
        let text = |text: &str| ScalarValue::from(text);
        let number = |number: i32| ScalarValue::from(number);
        check(&col("k").eq(lit("a")), values(&[text("a")]));
        check(&lit("a").eq(col("k")), values(&[text("a")]));
        check(
            &col("k").in_list(vec![lit("a"), lit("b")], false),
            values(&[text("a"), text("b")]),
        );
        check(
            &col("k").eq(lit("a")).or(col("k").eq(lit("b"))),
            values(&[text("a"), text("b")]),
        );
        check(&col("k").eq(lit("a")).or(col("n").eq(lit(1_i32))), None);
        check(&col("k").eq(lit(ScalarValue::Utf8(None))), values(&[]));
        check(&col("n").lt(lit(ScalarValue::Int32(None))), values(&[]));
        check(&col("k").in_list(vec![lit("a")], true), None);
        check(&col("k").eq(col("other")), None);
        check(&col("other").eq(lit("a")), None);
        check(&col("n").gt(lit(3_i32)), between(Some((number(3), false)), None));
        check(&lit(3_i32).gt_eq(col("n")), between(None, Some((number(3), true))));
        check(&col("n").not_eq(lit(3_i32)), None);
        check(&col("n").gt(lit(3.5_f64)), None);
        check(
            &col("n").between(lit(1_i32), lit(5_i32)),
            between(Some((number(1), true)), Some((number(5), true))),
        );
        check(&col("n").not_between(lit(1_i32), lit(5_i32)), None);
        check(&col("b"), values(&[ScalarValue::from(true)]));
        check(&!col("b"), values(&[ScalarValue::from(false)]));
        check(
            &col("b").is_true().or(col("b").is_false()),
            values(&[true, false].map(ScalarValue::from)),
        );
        let unknown = || lit(ScalarValue::Boolean(None));
        check(&col("k").eq(lit("a")).or(unknown()), values(&[text("a")]));
        check(
            &unknown().or(col("n").gt(lit(3_i32))),
            between(Some((number(3), false)), None),
        );
        check(&col("k").eq(lit("a")).or(lit(true)), None);
        check(&col("k").is_null(), values(&[ScalarValue::Utf8(None)]));
        check(&col("k").is_not_null(), between(None, None));
        check(&col("x").eq(lit(0.0_f64)), None);
        check(&col("x").lt(lit(0.0_f64)), None);
        check(&col("x").is_null(), values(&[ScalarValue::Float64(None)]));
    }

    #[test]
    fn what_filters_say_together() {
        let number = |number: i32| ScalarValue::from(number);
        let columns = [("n".to_owned(), DataType::Int32)];
        let check = |one: Expr, other: Expr, expected: Option<Said>| {
            let said = |filter: &Expr| said(filter, &columns).map(|(_, said)| said).expect("it says something");
            assert_eq!(Some(said(&one).and(said(&other))), expected, "{one} AND {other}");
            assert_eq!(Some(said(&other).and(said(&one))), expected, "{other} AND {one}");
        };
        let n = || col("n");
        let list = |values: &[i32]| n().in_list(values.iter().map(|value| lit(*value)).collect(), false);
        check(list(&[1, 2, 3]), n().gt(lit(1_i32)), values(&[number(2), number(3)]));
        check(list(&[1, 2, 3]), n().gt_eq(lit(3_i32)), values(&[number(3)]));
        check(list(&[1, 2]), list(&[3, 2]), values(&[number(2)]));
        check(n().eq(lit(1_i32)), n().lt(lit(1_i32)), values(&[]));
        check(n().eq(lit(1_i32)), n().is_null(), values(&[]));
        check(n().is_null(), n().is_not_null(), values(&[]));
        check(n().is_null(), n().gt(lit(1_i32)), values(&[]));
        check(n().is_null(), n().is_null(), values(&[ScalarValue::Int32(None)]));
        let from = |value, is_included| between(Some((number(value), is_included)), None);
        check(n().gt(lit(1_i32)), n().gt(lit(2_i32)), from(2, false));
        check(n().gt(lit(2_i32)), n().gt_eq(lit(2_i32)), from(2, false));
        check(n().gt(lit(2_i32)), n().is_not_null(), from(2, false));
        check(
            n().between(lit(1_i32), lit(9_i32)),
            n().between(lit(3_i32), lit(12_i32)),
            between(Some((number(3), true)), Some((number(9), true))),
        );
        check(
            n().lt(lit(2_i32)),
            n().gt(lit(5_i32)),
            between(Some((number(5), false)), Some((number(2), false))),
        );
    }

    #[test]
    fn a_pattern_that_ends_in_anything_is_a_range() {
        let text = |text: &str| ScalarValue::from(text);
        let like = |pattern: &str| col("k").like(lit(pattern));
        check(
            &like("ab%"),
            between(Some((text("ab"), true)), Some((text("ac"), false))),
        );
        check(
            &like("a\u{d7ff}%"),
            between(Some((text("a\u{d7ff}"), true)), Some((text("a\u{e000}"), false))),
        );
        check(
            &like("a\u{10ffff}%"),
            between(Some((text("a\u{10ffff}"), true)), Some((text("b"), false))),
        );
        check(&like("\u{10ffff}%"), between(Some((text("\u{10ffff}"), true)), None));
        check(&like("%"), between(None, None));
        for pattern in ["ab", "a%b%", "a_%", "a\\%"] {
            check(&like(pattern), None);
        }
        check(&col("k").ilike(lit("ab%")), None);
        check(&col("k").not_like(lit("ab%")), None);
    }
}

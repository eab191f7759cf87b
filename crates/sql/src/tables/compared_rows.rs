//! What a filter says of several columns of a key as a row: that it comes behind another or before it, as who reads page by page asks for it.
//!
//! ```text
//! (a, b) > (1, 2)       a > 1 OR a = 1 AND b > 2       spans   (1,2…1,NULL)  (1…NULL)
//! (a, b) <= (1, 2)      a < 1 OR a = 1 AND b <= 2      span    (…1,2)
//! ```
//!
//! Invariant: as in [`super::said`]. A row with a NULL where the other one decides comes neither behind nor before it; in the order of keys NULL is beyond
//! every value.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use headwater_views::{Span, behind};

use super::said::{Bound, Said, said};

/// A row that others come behind or before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// The first of the columns, which follow on one another.
    pub(super) first: usize,
    values: Vec<ScalarValue>,
    is_included: bool,
    /// Whether what comes behind it is let through, and not what comes before.
    is_behind: bool,
}

/// What a filter says of several of these columns; `None`: nothing, or nothing that can be said so.
pub(super) fn row(filter: &Expr, columns: &[(String, DataType)]) -> Option<Row> {
    bounded(filter, columns).filter(|row| row.values.len() > 1)
}

/// A bound of one column is a row of one.
fn bounded(filter: &Expr, columns: &[(String, DataType)]) -> Option<Row> {
    if let Some((first, Said::Between(from, to))) = said(filter, columns) {
        let (bound, is_behind) = match (from, to) {
            (Some(from), None) => (from, true),
            (None, Some(to)) => (to, false),
            _ => return None,
        };
        let Bound { value, is_included } = bound;
        return Some(Row {
            first,
            values: vec![value],
            is_included,
            is_behind,
        });
    }
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Or,
        right,
    }) = filter
    else {
        return None;
    };
    longer(left, right, columns).or_else(|| longer(right, left, columns))
}

/// `a > 1`, and beside it `a = 1 AND …` of the columns behind that.
fn longer(strict: &Expr, equal: &Expr, columns: &[(String, DataType)]) -> Option<Row> {
    let mut row = bounded(strict, columns)?;
    let [value] = row.values.as_slice() else { return None };
    let is_equal = |part: &Expr| match said(part, columns) {
        Some((column, Said::Values(values))) => column == row.first && values.as_slice() == [value.clone()],
        _ => false,
    };
    let (equal, rest): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(equal).into_iter().partition(|part| is_equal(part));
    let ([_, ..], [rest]) = (equal.as_slice(), rest.as_slice()) else {
        return None;
    };
    let rest = bounded(rest, columns)?;
    let follows = rest.first == row.first + 1 && rest.is_behind == row.is_behind;
    if row.is_included || !follows {
        return None;
    }
    row.values.extend(rest.values);
    row.is_included = rest.is_included;
    Some(row)
}

impl Row {
    /// The spans of keys that it leaves of a span, in order; `bytes` gives the beginning of keys with such values in these columns.
    pub(super) fn within(
        &self,
        span: &Span,
        columns: &[(String, DataType)],
        bytes: impl Fn(&[ScalarValue]) -> Result<Vec<u8>>,
    ) -> Result<Vec<Span>> {
        let at = bytes(&self.values)?;
        if !self.is_behind {
            let to = match self.is_included {
                true => behind(&at),
                false => Some(at),
            };
            let before = Span { from: Vec::new(), to };
            return Ok(both(span, &before).into_iter().collect());
        }
        let mut left: Vec<Span> = Vec::new();
        for count in (1..=self.values.len()).rev() {
            let values = &self.values[..count];
            let begun = bytes(values)?;
            let is_included = self.is_included && count == self.values.len();
            let from = match is_included {
                true => begun,
                false => match behind(&begun) {
                    Some(from) => from,
                    None => continue,
                },
            };
            let mut null = values.to_vec();
            null[count - 1] = ScalarValue::try_from(&columns[self.first + count - 1].1)?;
            let to = Some(bytes(&null)?);
            left.extend(both(span, &Span { from, to }));
        }
        Ok(left)
    }
}

/// What belongs to two spans; `None`: nothing.
fn both(one: &Span, other: &Span) -> Option<Span> {
    let to = match (&one.to, &other.to) {
        (Some(one), Some(other)) => Some(one.min(other).clone()),
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    let from = one.from.clone().max(other.from.clone());
    Some(Span { from, to }).filter(|span| !span.is_empty())
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn check(filter: Expr, expected: Option<(usize, &[i32], bool, bool)>) {
        let columns = ["a", "b", "c"].map(|name| (name.to_owned(), DataType::Int32));
        let expected = expected.map(|(first, values, is_included, is_behind)| Row {
            first,
            values: values.iter().map(|value| ScalarValue::from(*value)).collect(),
            is_included,
            is_behind,
        });
        assert_eq!(row(&filter, &columns), expected, "{filter}");
    }

    #[test]
    fn comparisons_of_rows_are_known_by_their_parts() {
        let (a, b, c) = (|| col("a"), || col("b"), || col("c"));
        let n = |number: i32| lit(number);
        check(
            a().gt(n(1)).or(a().eq(n(1)).and(b().gt(n(2)))),
            Some((0, &[1, 2], false, true)),
        );
        check(
            a().eq(n(1)).and(b().lt_eq(n(2))).or(a().lt(n(1))),
            Some((0, &[1, 2], true, false)),
        );
        let inner = b().gt(n(2)).or(c().gt_eq(n(3)).and(b().eq(n(2))));
        check(
            a().gt(n(1)).or(a().eq(n(1)).and(inner)),
            Some((0, &[1, 2, 3], true, true)),
        );
        check(
            n(2).lt(b()).or(b().eq(n(2)).and(c().gt(n(3)))),
            Some((1, &[2, 3], false, true)),
        );
        for other in [
            a().gt(n(1)),
            a().gt_eq(n(1)).or(a().eq(n(1)).and(b().gt(n(2)))),
            a().gt(n(1)).or(a().eq(n(1)).and(b().lt(n(2)))),
            a().gt(n(1)).or(a().eq(n(2)).and(b().gt(n(2)))),
            a().gt(n(1)).or(a().eq(n(1)).and(c().gt(n(2)))),
            a().gt(n(1)).or(b().gt(n(2))),
            a().gt(n(1)).or(a().eq(n(1)).and(b().gt(n(2))).and(c().gt(n(3)))),
            a().gt(n(1)).and(b().gt(n(2))),
        ] {
            check(other, None);
        }
    }
}

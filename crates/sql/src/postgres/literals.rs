//! Numbers, moments and intervals as texts, written as the query engine reads them: `INTERVAL '1 day 02:03:04'`, `TIMESTAMP '2024-01-01 10:20'`, `'1e3'::numeric`.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Interval, TimezoneInfo, UnaryOperator, Value};

use crate::encode::{interval_text, moment_text, number_text};

/// Writes the text of a literal, or of one that is cast, as the engine reads it.
pub(super) fn readable(expr: &mut Expr) {
    match expr {
        Expr::Interval(Interval {
            value,
            leading_field: None,
            ..
        }) => put(value, interval_text::written),
        Expr::TypedString(typed) => {
            if let Some(read) = reader(&typed.data_type)
                && let Value::SingleQuotedString(text) = &mut typed.value.value
                && let Some(written) = read(text)
            {
                *text = written;
            }
        }
        Expr::Cast { expr, data_type, .. } => {
            if let Some(read) = reader(data_type) {
                put(expr, read);
            }
        }
        // The engine would put the sign before the first of its parts.
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } => {
            if let Expr::Interval(interval) = inner.as_ref()
                && interval.leading_field.is_none()
                && let Some(opposite) = opposite(&interval.value)
            {
                let value = Box::new(opposite);
                *expr = Expr::Interval(Interval {
                    value,
                    ..interval.clone()
                });
            }
        }
        _ => {}
    }
}

/// How the text of a type is read.
fn reader(data_type: &DataType) -> Option<fn(&str) -> Option<String>> {
    match data_type {
        DataType::Interval { .. } => Some(interval_text::written),
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) | DataType::Datetime(_) => {
            Some(moment_text::shown)
        }
        DataType::Timestamp(..) => Some(moment_text::moment),
        DataType::Date => Some(moment_text::date),
        DataType::Numeric(_) | DataType::Decimal(_) => Some(number_text::plain),
        _ => None,
    }
}

fn put(value: &mut Expr, read: fn(&str) -> Option<String>) {
    if let Expr::Value(value) = value
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(written) = read(text)
    {
        *text = written;
    }
}

/// An interval with the other sign.
fn opposite(value: &Expr) -> Option<Expr> {
    let Expr::Value(value) = value else { return None };
    let Value::SingleQuotedString(text) = &value.value else {
        return None;
    };
    let (months, days, microseconds) = interval_text::read(text)?;
    let (months, days) = (months.checked_neg()?, days.checked_neg()?);
    let written = interval_text::in_units(months, days, microseconds.checked_neg()?);
    let mut opposite = value.clone();
    opposite.value = Value::SingleQuotedString(written);
    Some(Expr::Value(opposite))
}

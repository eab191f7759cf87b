//! Numbers, moments and intervals as texts, written as the query engine reads them: `INTERVAL '1 day 02:03:04'`, `TIMESTAMP '2024-01-01 10:20'`, `'1e3'::numeric`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Interval, TimezoneInfo, UnaryOperator, Value,
};

use crate::encode::{interval_text, moment_text, number_text};
use crate::postgres::ast::call;

/// Writes the text of a literal, or of one that is cast, as the engine reads it.
pub(super) fn readable(expr: &mut Expr) {
    if let Some(moment) = today(expr) {
        *expr = moment;
        return;
    }
    match expr {
        Expr::Value(value) => {
            if let Value::UnicodeStringLiteral(text) = &value.value {
                value.value = Value::SingleQuotedString(text.clone());
            }
        }
        // Between units the text says what it is: `'1-2' YEAR TO MONTH`.
        Expr::Interval(interval) if interval.last_field.is_some() => {
            let is_clock = matches!(interval.leading_field, Some(DateTimeField::Minute));
            (interval.leading_field, interval.last_field) = (None, None);
            if is_clock
                && let Expr::Value(value) = interval.value.as_mut()
                && let Value::SingleQuotedString(text) = &mut value.value
            {
                text.insert_str(0, "00:");
            }
            put(&mut interval.value, interval_text::written);
        }
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

/// `'now'::timestamp`, `DATE 'tomorrow'`: moments that follow from when the statement began.
fn today(expr: &Expr) -> Option<Expr> {
    let (value, data_type) = match expr {
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            Expr::Value(value) => (value, data_type),
            _ => return None,
        },
        Expr::TypedString(typed) => (&typed.value, &typed.data_type),
        _ => return None,
    };
    let Value::SingleQuotedString(text) = &value.value else {
        return None;
    };
    let is_moment = matches!(
        data_type,
        DataType::Date | DataType::Timestamp(..) | DataType::Datetime(_)
    );
    let days = match text.trim().to_ascii_lowercase().as_str() {
        "now" if is_moment => return Some(cast(call("now", Vec::new()), data_type.clone())),
        "today" => 0,
        "tomorrow" => 1,
        "yesterday" => -1,
        _ => return None,
    };
    let today = Expr::BinaryOp {
        left: Box::new(call("current_date", Vec::new())),
        op: BinaryOperator::Plus,
        right: Box::new(Expr::Value(Value::Number(days.to_string(), false).with_empty_span())),
    };
    is_moment.then(|| cast(Expr::Nested(Box::new(today)), data_type.clone()))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
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

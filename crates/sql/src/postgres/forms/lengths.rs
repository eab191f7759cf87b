//! Casts to a type of some length: `k::varchar(3)` is the first three characters, and `at::timestamp(0)` is rounded to the second.
//!
//! The query engine reads no length of a text, and cuts a timestamp off where it is longer.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, Expr, Interval, TimezoneInfo, Value,
};

use crate::postgres::ast::{as_text, call, text};

/// The digits behind a second's point.
const DIGITS: u32 = 6;

/// What such a cast is; `None` where the type has no length. Types of texts that are as long as they are become TEXT.
pub(super) fn shortened(inner: &Expr, data_type: &mut DataType) -> Option<Expr> {
    match data_type {
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length)
        | DataType::Nvarchar(length) => match length {
            Some(CharacterLength::IntegerLength { length, .. }) => Some(beginning(inner, *length)),
            _ => {
                *data_type = DataType::Text;
                None
            }
        },
        // One character where nothing is said, as PostgreSQL has it; nothing is filled up with spaces.
        DataType::Char(None) | DataType::Character(None) => Some(beginning(inner, 1)),
        DataType::Char(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::Character(Some(CharacterLength::IntegerLength { length, .. })) => Some(beginning(inner, *length)),
        DataType::Timestamp(Some(digits), zone) => {
            let digits = u32::try_from(*digits).ok().filter(|digits| *digits < DIGITS)?;
            Some(rounded(inner, digits, *zone))
        }
        _ => None,
    }
}

fn beginning(inner: &Expr, length: u64) -> Expr {
    let length = Expr::Value(Value::Number(length.to_string(), false).with_empty_span());
    call("left", vec![as_text(inner.clone()), length])
}

/// Half a step later, and from there down to a step.
fn rounded(inner: &Expr, digits: u32, zone: TimezoneInfo) -> Expr {
    let step = 10_u64.pow(DIGITS - digits);
    let moment = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(inner.clone()),
        data_type: DataType::Timestamp(None, zone),
        array: false,
        format: None,
    };
    let later = Expr::BinaryOp {
        left: Box::new(moment),
        op: BinaryOperator::Plus,
        right: Box::new(microseconds(step / 2)),
    };
    call("date_bin", vec![microseconds(step), later])
}

fn microseconds(count: u64) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(text(&format!("{count} microseconds"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

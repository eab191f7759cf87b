//! A text cast to BYTEA, or written beside one: `\x` and hexadecimal digits, or the text's own bytes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, lit};

use crate::encode::bytes_written;
use crate::plan::of_one;
use crate::{SqlError, SqlState};

/// A text that is cast to bytes or compared with some, as the bytes that it writes.
pub(super) fn written(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_text = |expr: &Expr| match expr.get_type(schema) {
        Ok(data_type) => matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        Err(_) => false,
    };
    match expr {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::Binary && is_text(&expr) => {
            Transformed::yes(decoded(*expr))
        }
        other => compared(other, schema),
    }
}

/// A comparison of bytes with texts that are written out.
fn compared(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_bytes = |side: &Expr| {
        side.get_type(schema)
            .is_ok_and(|data_type| data_type == DataType::Binary)
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if op.supports_propagation()
                && (is_bytes(&left) && is_written(&right) || is_written(&left) && is_bytes(&right)) =>
        {
            let (left, right) = (Box::new(as_bytes(*left)), Box::new(as_bytes(*right)));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) if is_bytes(&expr) && (is_written(&low) || is_written(&high)) => {
            let (low, high) = (Box::new(as_bytes(*low)), Box::new(as_bytes(*high)));
            Transformed::yes(Expr::Between(Between::new(expr, negated, low, high)))
        }
        Expr::InList(InList { expr, list, negated }) if is_bytes(&expr) && list.iter().any(is_written) => {
            let list = list.into_iter().map(as_bytes).collect();
            Transformed::yes(Expr::InList(InList::new(expr, list, negated)))
        }
        other => Transformed::no(other),
    }
}

fn decoded(text: Expr) -> Expr {
    of_one::call("_headwater_bytes_written", DataType::Binary, bytes, text)
}

fn is_written(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// A literal, so that keys are looked up by it; one that writes no bytes is an error where it is worked out.
fn as_bytes(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match bytes_written(text) {
            Some(bytes) => lit(ScalarValue::Binary(Some(bytes))),
            None => decoded(expr),
        },
        _ => expr,
    }
}

/// The bytes that each text writes.
fn bytes(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(texts.len());
    for text in texts.as_string::<i32>() {
        values.push(text.map(read).transpose()?);
    }
    Ok(Arc::new(BinaryArray::from_iter(values)))
}

fn read(text: &str) -> Result<Vec<u8>, SqlError> {
    bytes_written(text).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let message = format!("invalid input syntax for type BYTEA: \"{shown}\"");
        let hint = "write two hexadecimal digits for each byte behind \\x";
        SqlError::new(SqlState::INVALID_TEXT, message).hint(hint)
    })
}

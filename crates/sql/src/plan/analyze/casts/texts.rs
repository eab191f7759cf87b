//! Texts cast to numbers, dates, moments and intervals, written as the query engine reads them: `1e3`, `2024-01-05 10:00`, `P1DT2H`.
//!
//! Those in quotes are written so before a query is planned (`postgres::forms::literals`): keys are looked up by them.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable};

use crate::encode::as_read::{as_read, is_written_otherwise};
use crate::plan::of_one;

/// A text that is cast, as it is read.
pub(super) fn readable(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            let (expr, is_changed) = text(expr, field.data_type(), schema);
            Transformed::new_transformed(Expr::Cast(Cast { expr, field }), is_changed)
        }
        Expr::TryCast(TryCast { expr, field }) => {
            let (expr, is_changed) = text(expr, field.data_type(), schema);
            Transformed::new_transformed(Expr::TryCast(TryCast { expr, field }), is_changed)
        }
        other => Transformed::no(other),
    }
}

fn text(expr: Box<Expr>, to: &DataType, schema: &DFSchema) -> (Box<Expr>, bool) {
    if !is_written_otherwise(to) {
        return (expr, false);
    }
    let (name, read) = reader(to);
    let is_text = match expr.as_ref() {
        Expr::Literal(..) | Expr::Placeholder(_) => false,
        // Types are settled more than once on a plan's way.
        Expr::ScalarFunction(function) if function.name() == name => false,
        other => other.get_type(schema).is_ok_and(|of| of.is_string()),
    };
    match is_text {
        true => (Box::new(of_one::call(name, DataType::Utf8, read, *expr)), true),
        false => (expr, false),
    }
}

/// The function that reads texts for a type, and its name.
fn reader(to: &DataType) -> (&'static str, fn(&ArrayRef) -> Result<ArrayRef>) {
    match to {
        DataType::Timestamp(_, None) => ("_headwater_time_shown", |texts| {
            Ok(as_read(texts, &DataType::Timestamp(TimeUnit::Microsecond, None))?)
        }),
        DataType::Timestamp(..) => ("_headwater_moment", |texts| {
            let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
            Ok(as_read(texts, &moment)?)
        }),
        DataType::Date32 => ("_headwater_date", |texts| Ok(as_read(texts, &DataType::Date32)?)),
        DataType::Interval(_) => ("_headwater_interval", |texts| {
            Ok(as_read(texts, &DataType::Interval(IntervalUnit::MonthDayNano))?)
        }),
        _ => ("_headwater_number", |texts| {
            Ok(as_read(texts, &DataType::Decimal128(38, 0))?)
        }),
    }
}

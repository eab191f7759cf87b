//! Moments and intervals as text: `at::text` and `'until ' || at` are what PostgreSQL writes, and what the same value is shown as without a cast.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;
use crate::encode::array_text::to_text;
use crate::encode::calendar::{put_interval, put_timestamp};
use crate::encode::float_text::put_float;
use crate::encode::interval_text::intervals;
use crate::plan::of_one;
use crate::postgres::outward;

/// Puts [`texts`] in the place of such casts; runs after types were coerced, so that it sees those that nobody wrote.
#[derive(Debug)]
pub(crate) struct TextsOfMoments;

impl AnalyzerRule for TextsOfMoments {
    fn name(&self) -> &str {
        "texts_is_shown_sos"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, as_text)
    }
}

fn as_text(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else {
        return Transformed::no(expr);
    };
    let is_shown_so = || {
        let data_type = inner.get_type(schema);
        data_type.is_ok_and(|data_type| {
            matches!(
                data_type,
                DataType::Timestamp(..)
                    | DataType::Interval(_)
                    | DataType::Duration(_)
                    | DataType::Float32
                    | DataType::Float64
            )
        })
    };
    if *field.data_type() != DataType::Utf8 || !is_shown_so() {
        return Transformed::no(expr);
    }
    Transformed::yes(of_one::call("text", DataType::Utf8, texts, inner.as_ref().clone()))
}

/// Each value as it is shown; lists as PostgreSQL writes them.
pub(crate) fn shown(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Timestamp(..)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Float32
        | DataType::Float64 => texts(values),
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let elements = outward(lists.values())?;
            let elements = elements.as_string::<i32>();
            let text = |row: usize| {
                let (from, to) = (
                    lists.value_offsets()[row] as usize,
                    lists.value_offsets()[row + 1] as usize,
                );
                let each = (from..to).map(|at| elements.is_valid(at).then(|| elements.value(at)));
                lists.is_valid(row).then(|| to_text(each))
            };
            Ok(Arc::new((0..lists.len()).map(text).collect::<StringArray>()))
        }
        _ => Ok(cast(values, &DataType::Utf8)?),
    }
}

/// The text of each moment, interval or float.
fn texts(values: &ArrayRef) -> Result<ArrayRef> {
    let written: StringArray = match values.data_type() {
        DataType::Timestamp(_, zone) => {
            let moments = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let text = |micros| written(|text| put_timestamp(text, micros, zone.is_some()));
            let moments = moments.as_primitive::<TimestampMicrosecondType>().iter();
            moments.map(|micros| micros.map(text)).collect()
        }
        DataType::Float32 => {
            let floats = values.as_primitive::<Float32Type>().iter();
            floats
                .map(|float| float.map(|float| written(|text| put_float(text, float))))
                .collect()
        }
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>().iter();
            floats
                .map(|float| float.map(|float| written(|text| put_float(text, float))))
                .collect()
        }
        _ => {
            let text = |part: IntervalMonthDayNano| {
                written(|text| put_interval(text, part.months, part.days, part.nanoseconds / 1_000))
            };
            intervals(values)?.iter().map(|interval| interval.map(text)).collect()
        }
    };
    Ok(Arc::new(written))
}

fn written(put: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    put(&mut text);
    text
}

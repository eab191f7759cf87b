//! Intervals that are counted and compared: `INTERVAL '1 hour' * n`, `-i`, the seconds of one with their fraction, and a day that is as long as 24 hours.
//!
//! The query engine has no product of an interval, compares months, days and the rest one behind the other, and cuts seconds off.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, binary_expr, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast;

use super::rewrite::rewrite;
use crate::exact::in_microseconds;
use crate::plan::of_one;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const MONTH_DAYS: f64 = 30.0;
const DAY_NS: f64 = 86_400e9;

/// Compares intervals by their lengths, and takes parts of them and their opposites; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct IntervalsByLength;

impl AnalyzerRule for IntervalsByLength {
    fn name(&self) -> &str {
        "intervals_by_length"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, |expr, schema| match expr {
            Expr::ScalarFunction(function) if function.name() == "date_part" => part(function, schema),
            Expr::Negative(of) if is_interval(&of, schema) => Transformed::yes(multiplied(*of, lit(-1.0_f64))),
            expr => counted(expr, schema),
        })
    }
}

fn is_interval(side: &Expr, schema: &DFSchema) -> bool {
    let of = side.get_type(schema);
    of.is_ok_and(|of| matches!(of, DataType::Interval(_) | DataType::Duration(_)))
}

/// An interval so many times.
fn multiplied(interval: Expr, number: Expr) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    let interval = of_one::call("_headwater_as_interval", INTERVAL, as_intervals, interval);
    ScalarUDF::from(Times { signature }).call(vec![interval, number])
}

fn as_intervals(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(Arc::new(crate::encode::interval_text::intervals(values)?))
}

/// A part of an interval that is less than a minute, or all of it in seconds.
fn part(function: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    if let [Expr::Literal(ScalarValue::Utf8(Some(part)), _), of] = function.args.as_slice()
        && is_interval(of, schema)
    {
        match part.to_ascii_lowercase().as_str() {
            "microsecond" => {
                let part = of_one::call("_headwater_microseconds", DataType::Int32, microseconds, of.clone());
                return Transformed::yes(part);
            }
            "epoch" => {
                let part = of_one::call("_headwater_epoch", DataType::Float64, epochs, of.clone());
                return Transformed::yes(part);
            }
            _ => {}
        }
    }
    Transformed::no(Expr::ScalarFunction(function))
}

/// Those of the last minute.
fn microseconds(values: &ArrayRef) -> Result<ArrayRef> {
    let intervals = crate::encode::interval_text::intervals(values)?;
    Ok(Arc::new(intervals.unary::<_, Int32Type>(|interval| {
        (interval.nanoseconds / 1_000 % 60_000_000) as i32
    })))
}

/// In seconds, as PostgreSQL counts them: a year has 365.25 days, a month beside it 30.
fn epochs(values: &ArrayRef) -> Result<ArrayRef> {
    let intervals = crate::encode::interval_text::intervals(values)?;
    Ok(Arc::new(intervals.unary::<_, Float64Type>(|interval| {
        let (years, months) = (interval.months / 12, interval.months % 12);
        let days = f64::from(years) * 365.25 + f64::from(months) * MONTH_DAYS + f64::from(interval.days);
        days * 86_400.0 + (interval.nanoseconds / 1_000) as f64 / 1e6
    })))
}

/// Two intervals are compared by their lengths.
fn counted(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return Transformed::no(expr);
    };
    let compares = op.supports_propagation() || matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom);
    if !compares || !is_interval(&left, schema) || !is_interval(&right, schema) {
        return Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }));
    }
    let length = |side: Expr| of_one::call("_headwater_length", LENGTH, lengths, side);
    let compared = BinaryExpr::new(Box::new(length(*left)), op, Box::new(length(*right)));
    Transformed::yes(Expr::BinaryExpr(compared))
}

/// Plans products of intervals, of which the query engine knows no type.
#[derive(Debug)]
pub(crate) struct IntervalsMultiplied;

impl ExprPlanner for IntervalsMultiplied {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let of = |side: &Expr| side.get_type(schema).unwrap_or(DataType::Null);
        let is_interval = |of: &DataType| matches!(of, DataType::Interval(_));
        let (left_type, right_type) = (of(&left), of(&right));
        let by = |interval: Expr, number: Expr| {
            PlannerResult::Planned(multiplied(interval, cast(number, DataType::Float64)))
        };
        Ok(match op {
            ast::BinaryOperator::Multiply if is_interval(&left_type) && right_type.is_numeric() => by(left, right),
            ast::BinaryOperator::Multiply if left_type.is_numeric() && is_interval(&right_type) => by(right, left),
            ast::BinaryOperator::Divide if is_interval(&left_type) && right_type.is_numeric() => by(
                left,
                binary_expr(lit(1.0_f64), Operator::Divide, cast(right, DataType::Float64)),
            ),
            // A date beside a moment is one of microseconds: the query engine's would end in 2262.
            ast::BinaryOperator::Minus => {
                let (left, right) = match (in_microseconds(&left_type), in_microseconds(&right_type)) {
                    (Some(moment), None) if right_type == DataType::Date32 => (left, cast(right, moment)),
                    (None, Some(moment)) if left_type == DataType::Date32 => (cast(left, moment), right),
                    _ => (left, right),
                };
                PlannerResult::Original(RawBinaryExpr { op, left, right })
            }
            op => PlannerResult::Original(RawBinaryExpr { op, left, right }),
        })
    }
}

/// Nanoseconds: months of thirty days.
const LENGTH: DataType = DataType::Decimal128(38, 0);

fn lengths(intervals: &ArrayRef) -> Result<ArrayRef> {
    let lengths: Decimal128Array =
        crate::encode::interval_text::intervals(intervals)?.unary::<_, Decimal128Type>(|interval| {
            let days = i128::from(interval.months) * 30 + i128::from(interval.days);
            days * 86_400_000_000_000 + i128::from(interval.nanoseconds)
        });
    Ok(Arc::new(lengths.with_precision_and_scale(38, 0)?))
}

/// An interval so many times.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Times {
    signature: Signature,
}

impl ScalarUDFImpl for Times {
    fn name(&self) -> &str {
        "_headwater_times"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let [intervals, numbers] = args.args.as_slice() else {
            return plan_err!("an interval and a number are multiplied");
        };
        let (intervals, numbers) = (intervals.to_array(rows)?, numbers.to_array(rows)?);
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.as_primitive::<Float64Type>();
        let products = datafusion::arrow::compute::try_binary::<_, _, _, IntervalMonthDayNanoType>(
            intervals,
            numbers,
            |interval, number| match times(interval, number) {
                Some(product) => Ok(product),
                None => Err(datafusion::arrow::error::ArrowError::ComputeError(
                    "interval out of range".to_owned(),
                )),
            },
        );
        let products: ArrayRef = match products {
            Ok(products) => Arc::new(products),
            Err(why) => return exec_err!("{why}"),
        };
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&products, 0)?)),
            false => Ok(ColumnarValue::Array(products)),
        }
    }
}

/// Parts of a month are days, and parts of a day are hours.
fn times(interval: IntervalMonthDayNano, number: f64) -> Option<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * number;
    let days = f64::from(interval.days) * number;
    let month_days = months.fract() * MONTH_DAYS;
    let rest = (days.fract() + month_days.fract()) * DAY_NS;
    // To the microsecond, as PostgreSQL keeps it.
    let nanoseconds = ((interval.nanoseconds as f64 * number + rest) / 1_000.0).round() * 1_000.0;
    let days = days.trunc() + month_days.trunc();
    let whole = |value: f64| (value.abs() <= f64::from(i32::MAX)).then_some(value as i32);
    let is_in_range = nanoseconds.abs() < i64::MAX as f64;
    Some(IntervalMonthDayNano::new(
        whole(months.trunc())?,
        whole(days)?,
        is_in_range.then_some(nanoseconds as i64)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_day_is_hours() {
        let hour = 3_600_000_000_000;
        for (interval, number, expected) in [
            ((0, 1, 0), 3.0, Some((0, 3, 0))),
            ((0, 1, 0), 1.5, Some((0, 1, 12 * hour))),
            ((1, 0, 0), 0.5, Some((0, 15, 0))),
            ((0, 0, hour), 0.5, Some((0, 0, hour / 2))),
            ((14, 3, hour), -1.0, Some((-14, -3, -hour))),
            ((i32::MAX, 0, 0), 2.0, None),
            ((0, 0, i64::MAX), 2.0, None),
        ] {
            let of = |(months, days, nanoseconds)| IntervalMonthDayNano::new(months, days, nanoseconds);
            assert_eq!(times(of(interval), number), expected.map(of), "{interval:?} {number}");
        }
    }
}

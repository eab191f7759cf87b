//! A date and an interval with hours make a moment: `due_on + INTERVAL '9 hours'` is nine o'clock of that day.
//!
//! The query engine keeps the date and drops the hours. With whole days and months the date stays one, so that it is compared with dates as they are stored.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;

/// Makes a moment of such dates; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct DatesWithHours;

impl AnalyzerRule for DatesWithHours {
    fn name(&self) -> &str {
        "dates_with_hours"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, with_hours)
    }
}

fn with_hours(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Transformed::no(expr);
    };
    let is_date = |side: &Expr| {
        side.get_type(schema)
            .is_ok_and(|data_type| data_type == DataType::Date32)
    };
    let moment = |side: &Expr| Box::new(cast(side.clone(), DataType::Timestamp(TimeUnit::Microsecond, None)));
    let sides = match op {
        Operator::Plus | Operator::Minus if is_date(left) && may_have_hours(right, schema) => {
            (moment(left), right.clone())
        }
        Operator::Plus if may_have_hours(left, schema) && is_date(right) => (left.clone(), moment(right)),
        _ => return Transformed::no(expr),
    };
    Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(sides.0, *op, sides.1)))
}

/// Whether an interval has a part that is no whole day, or may have one.
fn may_have_hours(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) => {
            interval.is_some_and(|interval| interval.nanoseconds != 0)
        }
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => false,
        Expr::Literal(ScalarValue::IntervalDayTime(interval), _) => {
            interval.is_some_and(|interval| interval.milliseconds != 0)
        }
        other => {
            let data_type = other.get_type(schema);
            data_type.is_ok_and(|data_type| matches!(data_type, DataType::Interval(_)))
        }
    }
}

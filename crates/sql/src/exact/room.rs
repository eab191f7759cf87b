//! Decimals that come to other ones, and the type that these have.
//!
//! `ceil(0.99)` is 1, which a decimal without digits before the point has no room for: it is given one. How many digits `round(d, 1)` leaves is part of its type, which the
//! query engine looks up at the literal: it is given the type that it is coerced to anyway, or the type would be another once it is.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast, lit};
use datafusion::optimizer::AnalyzerRule;

/// Functions that come to the next whole number.
const TO_WHOLE: [&str; 4] = ["ceil", "floor", "round", "trunc"];

/// Gives such decimals room; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct RoomForWhole;

impl AnalyzerRule for RoomForWhole {
    fn name(&self) -> &str {
        "room_for_whole"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        super::rewrite(plan, with_room)
    }
}

fn with_room(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut function) = expr else {
        return Transformed::no(expr);
    };
    let is_whole = TO_WHOLE.contains(&function.name());
    let mut changed = false;
    if let Some(Expr::Literal(ScalarValue::Int64(Some(places)), _)) = function.args.get(1).filter(|_| is_whole)
        && let Ok(places) = i32::try_from(*places)
    {
        function.args[1] = lit(places);
        changed = true;
    }
    if let Some(number) = function.args.first_mut().filter(|_| is_whole)
        && let Ok(DataType::Decimal128(digits, scale)) = number.get_type(schema)
        && digits as i8 == scale
        && digits < DECIMAL128_MAX_PRECISION
    {
        *number = cast(number.clone(), DataType::Decimal128(digits + 1, scale));
        changed = true;
    }
    Transformed::new_transformed(Expr::ScalarFunction(function), changed)
}

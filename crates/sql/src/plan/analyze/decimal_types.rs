//! Decimals that come to other ones, and the type that these have.
//!
//! A product has the digits behind the point of both sides: of two averages or quotients 32 of 38, which leaves little room before it. It is counted in 256 bits.
//! `ceil(0.99)` is 1, which a decimal without digits before the point has no room for: it is given one. How many digits `round(d, 1)` leaves is part of its type, which the
//! query engine looks up at the literal: it is given the type that it is coerced to anyway, or the type would be another once it is. `trunc(d, 1)` leaves as many, where the
//! engine would show as many as `d` has.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;

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
        rewrite(plan, with_room)
    }
}

fn with_room(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let mut function = match expr {
        Expr::ScalarFunction(function) => function,
        other => return product(other, schema),
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
    match digits_left(&function, schema) {
        Some(left) => Transformed::yes(cast(Expr::ScalarFunction(function), left)),
        None => Transformed::new_transformed(Expr::ScalarFunction(function), changed),
    }
}

/// What `trunc` leaves of a decimal, where that is said and less than it has.
fn digits_left(function: &ScalarFunction, schema: &DFSchema) -> Option<DataType> {
    let (number, places) = match (function.name(), function.args.as_slice()) {
        ("trunc", [number]) => (number, 0),
        ("trunc", [number, Expr::Literal(ScalarValue::Int32(Some(places)), _)]) => (number, (*places).max(0)),
        _ => return None,
    };
    let Ok(DataType::Decimal128(digits, scale)) = number.get_type(schema) else {
        return None;
    };
    let places = i8::try_from(places).ok().filter(|places| *places < scale)?;
    let gone = u8::try_from(scale - places).ok()?;
    Some(DataType::Decimal128(digits.saturating_sub(gone).max(1), places))
}

/// A product of decimals, in the wider type where the narrower has more digits behind the point than before it.
fn product(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let digits = |side: &Expr| match side.get_type(schema) {
        Ok(DataType::Decimal128(digits, scale)) if scale >= 0 => Some((digits, scale)),
        _ => None,
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Multiply,
            right,
        }) => {
            let wide = digits(&left).zip(digits(&right)).and_then(|(of_left, of_right)| {
                let behind = of_left.1.saturating_add(of_right.1);
                let is_full = of_left.0.saturating_add(of_right.0) >= DECIMAL128_MAX_PRECISION;
                let is_narrow = behind as u8 > DECIMAL128_MAX_PRECISION / 2;
                (is_full && is_narrow).then_some(DataType::Decimal256(of_left.0, of_left.1))
            });
            let changed = wide.is_some();
            let left = match wide {
                Some(wide) => Box::new(cast(*left, wide)),
                None => left,
            };
            let product = BinaryExpr::new(left, Operator::Multiply, right);
            Transformed::new_transformed(Expr::BinaryExpr(product), changed)
        }
        other => Transformed::no(other),
    }
}

//! A whole number that is written beside a DECIMAL counts with the digits that it has: `price * 2` has one digit more before the point than `price`, not
//! the nineteen of every BIGINT. So results keep few digits, and few digits are counted in 128 bits instead of 256.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;

/// Gives such numbers a type of their own; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct DecimalLiterals;

impl AnalyzerRule for DecimalLiterals {
    fn name(&self) -> &str {
        "decimal_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, typed)
    }
}

fn typed(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Transformed::no(expr);
    };
    if !matches!(
        op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide
    ) {
        return Transformed::no(expr);
    }
    let is_decimal = |side: &Expr| side.get_type(schema).is_ok_and(|data_type| data_type.is_decimal());
    let sides = match (decimal(left), decimal(right)) {
        (Some(number), None) if is_decimal(right) => (Box::new(number), right.clone()),
        (None, Some(number)) if is_decimal(left) => (left.clone(), Box::new(number)),
        _ => return Transformed::no(expr),
    };
    Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(sides.0, *op, sides.1)))
}

/// A whole number as a decimal of its digits.
fn decimal(expr: &Expr) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Int64(Some(number)), _) = expr else {
        return None;
    };
    let digits = number.unsigned_abs().checked_ilog10().map_or(1, |last| last + 1);
    let value = ScalarValue::Decimal128(Some(i128::from(*number)), digits as u8, 0);
    Some(Expr::Literal(value, None))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn a_number_has_the_digits_that_are_written() {
        for (number, digits) in [(0, 1), (9, 1), (10, 2), (-10, 2), (i64::MAX, 19), (i64::MIN, 19)] {
            let expected = ScalarValue::Decimal128(Some(i128::from(number)), digits, 0);
            assert_eq!(decimal(&lit(number)), Some(Expr::Literal(expected, None)));
        }
        assert_eq!(decimal(&lit(1.5)), None);
        assert_eq!(decimal(&lit(ScalarValue::Int64(None))), None);
    }
}

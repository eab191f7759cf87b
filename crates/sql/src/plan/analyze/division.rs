//! Divisions of exact numbers are rounded where the query engine cuts off.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;
use crate::exact::{Division, quotient};

/// Puts [`Division`] in the place of `/` between decimals, or a decimal and a whole number; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct RoundedDivision;

impl AnalyzerRule for RoundedDivision {
    fn name(&self) -> &str {
        "rounded_division"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, rounded)
    }
}

fn rounded(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Divide,
        right,
    }) = &expr
    else {
        return Transformed::no(expr);
    };
    let types = (left.get_type(schema), right.get_type(schema));
    match types {
        (Ok(dividend), Ok(divisor)) if quotient(&dividend, &divisor).is_some() => {
            let function = ScalarUDF::from(Division(Signature::any(2, Volatility::Immutable)));
            Transformed::yes(function.call(vec![left.as_ref().clone(), right.as_ref().clone()]))
        }
        _ => Transformed::no(expr),
    }
}

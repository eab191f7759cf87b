//! Decimals beside floats.
//!
//! A decimal that becomes a float is the float that its digits name ([`floats`]). And a float that is compared with a decimal stays one, where the engine
//! would make a decimal of it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::beside;
use super::rewrite::rewrite;
use crate::exact::floats;
use crate::plan::of_one;

/// Puts [`floats`] in the place of such casts; runs after types were coerced.
#[derive(Debug)]
pub(crate) struct FloatsAsWritten;

impl AnalyzerRule for FloatsAsWritten {
    fn name(&self) -> &str {
        "floats_as_written"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, as_float)
    }
}

/// Makes floats of decimals that are compared with one; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct ComparedAsFloats;

impl AnalyzerRule for ComparedAsFloats {
    fn name(&self) -> &str {
        "compared_as_floats"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, compared)
    }
}

fn compared(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    beside::compared(expr, schema, |of, with| {
        (of.is_decimal() && with.is_floating()).then_some(DataType::Float64)
    })
}

fn as_float(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else {
        return Transformed::no(expr);
    };
    let of_decimal = || inner.get_type(schema).is_ok_and(|data_type| data_type.is_decimal());
    if *field.data_type() != DataType::Float64 || !of_decimal() {
        return Transformed::no(expr);
    }
    Transformed::yes(of_one::call(
        "float8",
        DataType::Float64,
        floats,
        inner.as_ref().clone(),
    ))
}

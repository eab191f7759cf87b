//! Casts that mean what PostgreSQL's do, where the query engine's own mean something else: numbers are rounded to whole ones and not cut off, and a text
//! becomes the bytes that it writes.

mod bytes;
mod whole;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Puts functions into casts that are written so; runs before types are coerced, as what the engine casts for its own functions is its own affair.
#[derive(Debug)]
pub(crate) struct WrittenCasts;

impl AnalyzerRule for WrittenCasts {
    fn name(&self) -> &str {
        "written_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        everywhere(plan, bytes::written)
    }
}

/// Rounds what is cast to a whole number; runs after types were coerced, as only then all of them are known.
#[derive(Debug)]
pub(crate) struct RoundedCasts;

impl AnalyzerRule for RoundedCasts {
    fn name(&self) -> &str {
        "rounded_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        everywhere(plan, whole::rounded)
    }
}

fn everywhere(plan: LogicalPlan, rewritten: impl Fn(Expr, &DFSchema) -> Transformed<Expr>) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|expr| expr.transform_up(|part| Ok(rewritten(part, &schema))))
    })?;
    Ok(plan.data)
}

//! Expressions that the query engine takes for something else than PostgreSQL does: they are refused, and say what to write instead.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::{SqlError, SqlState};

/// Refuses them, wherever they stand.
#[derive(Debug)]
pub(crate) struct RefusedExpressions;

impl AnalyzerRule for RefusedExpressions {
    fn name(&self) -> &str {
        "refused_expressions"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|part| match part {
                    Expr::SimilarTo(_) => Err(similar_to().into()),
                    _ => Ok(TreeNodeRecursion::Continue),
                })
            })
        })?;
        Ok(plan)
    }
}

fn similar_to() -> SqlError {
    SqlError::new(SqlState::NOT_SUPPORTED, "SIMILAR TO is not there")
        .hint("write LIKE, or a regular expression: text ~ '^a.*$'")
}

//! Expressions as they are evaluated. Some functions (`coalesce`, `nvl2`) are no more than another way to write an expression, and are never called.
//!
//! The query engine makes one list of two that stand side by side: `k IN (1, 2) AND k NOT IN (2, 3)` is `k IN (1)`. It compares what stands in them
//! without looking whether that is NULL, or a column, and without a look at a `k` that is NULL. So the column of each list gets a mark while an
//! expression is simplified, and lists that differ are not of the same column then.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr::{Alias, InList};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::simplify_expressions::{ExprSimplifier, SimplifyExpressions};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::PhysicalExpr;

use super::choice::chosen;

/// What a marked column carries: which list it is of.
const MARK: &str = "list";

/// An expression, ready to be evaluated.
pub fn physical(session: &SessionState, expression: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let expression = session.create_physical_expr(over(session, expression.clone(), input)?, input)?;
    chosen(expression, input.as_arrow())
}

/// An aggregate whose arguments, filter and order are ready to be evaluated.
pub(super) fn aggregate(session: &SessionState, expression: &Expr, input: &DFSchema) -> Result<Expr> {
    let aggregate = expression.clone().unalias();
    let simplify = |part| Ok(Transformed::yes(over(session, part, input)?));
    Ok(aggregate.map_children(simplify)?.data)
}

fn over(session: &SessionState, expression: Expr, input: &DFSchema) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(input.clone()))
        .with_config_options(Arc::clone(session.config_options()))
        .build();
    simplified(&ExprSimplifier::new(context), expression)
}

/// An expression as the query engine simplifies it, its lists each by itself.
pub fn simplified(simplifier: &ExprSimplifier, expression: Expr) -> Result<Expr> {
    Ok(together(simplifier.simplify(apart(expression)?.data)?)?.data)
}

/// The query engine's rule for the expressions of a plan, with their lists each by itself.
#[derive(Debug, Default)]
pub struct SimplifiedApart {
    rule: SimplifyExpressions,
}

impl OptimizerRule for SimplifiedApart {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let marked = plan.map_expressions(apart)?;
        let simplified = self.rule.rewrite(marked.data, config)?;
        if !marked.transformed {
            return Ok(simplified);
        }
        simplified.map_data(|plan| {
            let plan = plan.map_expressions(together)?.data;
            // An aggregate may have become one below what is worked out of it.
            match plan {
                LogicalPlan::Projection(_) => Ok(plan.map_children(|below| below.map_expressions(together))?.data),
                plan => Ok(plan),
            }
        })
    }
}

/// Marks the columns of lists.
fn apart(expression: Expr) -> Result<Transformed<Expr>> {
    expression.transform_up(|part| match part {
        Expr::InList(list) => marked(list),
        part => Ok(Transformed::no(part)),
    })
}

/// A list whose first column says which list it is of: equal ones say the same.
fn marked(list: InList) -> Result<Transformed<Expr>> {
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    let mark = BTreeMap::from([(MARK.to_owned(), hasher.finish().to_string())]);
    let InList { expr, list, negated } = list;
    let expr = expr.transform_down(|part| match part {
        Expr::Column(column) => {
            let alias = Alias {
                name: column.flat_name(),
                expr: Box::new(Expr::Column(column)),
                relation: None,
                metadata: Some(FieldMetadata::new(mark.clone())),
            };
            Ok(Transformed::new(Expr::Alias(alias), true, TreeNodeRecursion::Stop))
        }
        part => Ok(Transformed::no(part)),
    })?;
    let (is_marked, expr) = (expr.transformed, Box::new(expr.data));
    let list = Expr::InList(InList { expr, list, negated });
    Ok(match is_marked {
        true => Transformed::yes(list),
        false => Transformed::no(list),
    })
}

/// Takes the marks away.
fn together(expression: Expr) -> Result<Transformed<Expr>> {
    expression.transform_up(|part| match part {
        Expr::Alias(alias) if alias.metadata.as_ref().is_some_and(is_mark) => Ok(Transformed::yes(*alias.expr)),
        part => Ok(Transformed::no(part)),
    })
}

fn is_mark(metadata: &FieldMetadata) -> bool {
    metadata.inner().contains_key(MARK)
}

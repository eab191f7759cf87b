//! What a pipeline may contain: whatever is a function of one event and of the rows that it finds in views.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use crate::ViewError;

const A_VIEW: &str = "a pipeline makes results of one event at a time; fold the stream into a view (CREATE MATERIALIZED VIEW), and take \
     FROM CHANGES OF view where each change is to be an event";

/// The refusal of a part of a query, with the way out.
pub(super) fn refused(part: impl Into<String>, way_out: &str) -> ViewError {
    ViewError::Pipeline {
        part: part.into(),
        way_out: way_out.to_owned(),
    }
}

/// The refusal of a node that a pipeline's plan may not have.
pub(super) fn node(plan: &LogicalPlan) -> ViewError {
    match plan {
        LogicalPlan::Aggregate(_) => refused("an aggregate (GROUP BY)", A_VIEW),
        LogicalPlan::Distinct(_) => refused("DISTINCT", A_VIEW),
        LogicalPlan::Window(_) => refused("a window function (OVER …)", A_VIEW),
        LogicalPlan::Sort(_) => refused("ORDER BY", "results come in the order of the events: leave it out"),
        LogicalPlan::Limit(_) => refused("LIMIT", "a pipeline has no end: leave it out, or say WHERE"),
        LogicalPlan::Union(_) => refused(
            "UNION",
            "make a pipeline of each part, or a view over all of the streams",
        ),
        LogicalPlan::Unnest(_) => refused("UNNEST", "pass the array on, and unnest it where it is read"),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
            refused("a query that reads no stream", "read one: FROM stream")
        }
        other => refused(format!("{}", other.display()), A_VIEW),
    }
}

/// Refuses expressions that are no function of an event.
pub(super) fn check_expression(expression: &Expr) -> Result<(), ViewError> {
    let mut refusal = None;
    let walked = expression.apply(|part| {
        refusal = check_part(part).err();
        Ok(match refusal {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    });
    walked.map_err(|error: DataFusionError| ViewError::Failed(error.strip_backtrace()))?;
    refusal.map_or(Ok(()), Err)
}

fn check_part(part: &Expr) -> Result<(), ViewError> {
    match part {
        Expr::ScalarSubquery(_)
        | Expr::InSubquery(_)
        | Expr::Exists(_)
        | Expr::SetComparison(_)
        | Expr::OuterReferenceColumn(..) => Err(refused(
            "a subquery",
            "join the view by its key: FROM stream LEFT JOIN view ON view.key = stream.column",
        )),
        Expr::WindowFunction(function) => Err(refused(format!("the window function {}", function.fun.name()), A_VIEW)),
        Expr::AggregateFunction(function) => Err(refused(format!("{}(…)", function.func.name()), A_VIEW)),
        Expr::Placeholder(placeholder) => Err(refused(
            format!("the parameter {}", placeholder.id),
            "write the value into the query",
        )),
        Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
            Err(refused(
                format!("{}(), which does not follow from the event,", function.func.name()),
                "take the time from _appended_at or _timestamp, which are the event's own",
            ))
        }
        _ => Ok(()),
    }
}

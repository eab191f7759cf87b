//! What a materialized view may contain: whatever can be kept exact, event by event, from the events alone.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use headwater_catalog::Shape;

use crate::ViewError;
use crate::order::{FIRST, LAST};
use crate::rows::entries::LIST;

/// Aggregates whose states of two sets of events make the state of both together.
const MERGEABLE: [&str; 35] = [
    FIRST,
    LAST,
    LIST,
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "mean",
    "min",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
    "var_samp",
];

const A_PLAIN_VIEW: &str = "make it a plain view (CREATE VIEW name AS SELECT …), which is computed when it is asked";
const A_JOIN: &str = "join views to the events as they arrive in a pipeline (CREATE STREAM name AS SELECT … FROM stream JOIN view …), \
     or make it a plain view (CREATE VIEW name AS SELECT …), which is computed when it is asked";

/// The refusal of a part of a query, which a plain view may have.
pub(super) fn refused(part: impl Into<String>) -> ViewError {
    refused_but(part, A_PLAIN_VIEW)
}

/// The refusal of a part that has another way out.
pub(crate) fn refused_but(part: impl Into<String>, hint: &str) -> ViewError {
    ViewError::Refused {
        part: part.into(),
        hint: format!(": {hint}"),
    }
}

/// The refusal of a node that a view's plan may not have.
pub(crate) fn node(plan: &LogicalPlan) -> ViewError {
    match plan {
        LogicalPlan::Window(_) => refused("a window function (OVER …)"),
        LogicalPlan::Sort(_) => refused_but("ORDER BY", "leave it out here and order the rows when they are read"),
        LogicalPlan::Limit(_) => refused("LIMIT"),
        LogicalPlan::Join(_) => refused_but("a join", A_JOIN),
        LogicalPlan::Union(_) => refused("UNION"),
        LogicalPlan::Distinct(_) => refused_but("DISTINCT", "group by the columns instead (GROUP BY)"),
        LogicalPlan::Unnest(_) => refused_but(
            "UNNEST of what a GROUP BY gives",
            "unnest the arrays of events, in a query below the GROUP BY, or a list when it is read",
        ),
        LogicalPlan::RecursiveQuery(_) => refused("a recursive query"),
        LogicalPlan::Subquery(_) => refused("a subquery"),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => refused("a query that reads no stream"),
        other => refused(format!("{}", other.display())),
    }
}

/// Refuses expressions that are not a function of the events.
pub(crate) fn check_expression(expression: &Expr) -> Result<(), ViewError> {
    let mut refusal = None;
    let walked = expression.apply(|part| {
        refusal = check_part(part).err();
        Ok(if refusal.is_some() {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
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
        | Expr::OuterReferenceColumn(..) => Err(refused("a subquery")),
        Expr::WindowFunction(function) => Err(refused(format!("the window function {}", function.fun.name()))),
        Expr::GroupingSet(_) => Err(refused_but(
            "GROUPING SETS, ROLLUP or CUBE",
            "make one view for each grouping",
        )),
        Expr::Unnest(_) => Err(refused("UNNEST")),
        Expr::Placeholder(placeholder) => Err(refused_but(
            format!("the parameter {}", placeholder.id),
            "write the value into the view's query",
        )),
        Expr::ScalarVariable(..) => Err(refused("a variable")),
        Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
            Err(refused_but(
                format!("{}(), which does not follow from the events,", function.func.name()),
                "a view must come out the same whenever it is built; take the time from _appended_at or _timestamp",
            ))
        }
        Expr::AggregateFunction(function) => check_aggregate(function),
        _ => Ok(()),
    }
}

fn check_aggregate(function: &AggregateFunction) -> Result<(), ViewError> {
    let name = function.func.name();
    if function.params.distinct {
        return check_distinct(function);
    }
    // Of percentiles it says what they are of, and not in which order they are taken.
    let is_within_group = name.starts_with("approx_percentile_cont");
    if !function.params.order_by.is_empty() && !is_within_group {
        return Err(refused(format!("{name}(… ORDER BY …)")));
    }
    if !MERGEABLE.contains(&name) {
        return Err(refused(format!("{name}(…), whose state does not merge,")));
    }
    Ok(())
}

/// Of different values their number can be kept: each is an entry of its own.
fn check_distinct(function: &AggregateFunction) -> Result<(), ViewError> {
    match (function.func.name(), function.params.args.as_slice()) {
        ("count", [_]) => Ok(()),
        ("count", _) => Err(refused_but(
            "count(DISTINCT …) of several values",
            "count them as one value: count(DISTINCT struct(a, b))",
        )),
        ("min" | "max" | "bool_and" | "bool_or" | "bit_and" | "bit_or", _) => Err(refused_but(
            format!("{}(DISTINCT …)", function.func.name()),
            "leave DISTINCT out: it makes no difference there",
        )),
        ("array_agg", _) => Err(refused_but(
            "array_agg(DISTINCT …)",
            "keep all values with array_agg(…) and take the different ones when they are read (array_distinct(list)), or count them with \
             count(DISTINCT …)",
        )),
        (name, _) => Err(refused_but(
            format!("{name}(DISTINCT …), which would have to know every value again when it is read,"),
            "group by the value too, and aggregate the groups when they are read (CREATE VIEW), or count the values with count(DISTINCT …)",
        )),
    }
}

/// The refusal of lists in a shape that does not keep them.
pub(super) fn check_shape(shape: Option<&Shape>) -> Result<(), ViewError> {
    match shape {
        None | Some(Shape::Document | Shape::Memory) => Ok(()),
        Some(other) => Err(refused_but(
            format!("array_agg(…) in a view stored as {}", other.word()),
            "a list that grows is kept by views stored as document or memory: make one beside this view, of the same key",
        )),
    }
}

//! `FROM orders, UNNEST(items) AS t(item)`: the elements of an event's arrays beside the event.
//!
//! ```text
//! Join                                          Projection   orders.*, t.item
//!   TableScan orders                              Unnest
//!   Subquery t                           ──>        Projection   orders.*, items
//!     Projection                                      TableScan orders
//!       Unnest
//!         Projection   outer items
//!           one row
//! ```
//!
//! It is written as a join, and is none: what stands beside an event is made of that event alone.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, Projection, Unnest};

/// The plan with each such join taken apart.
pub(crate) fn beside(plan: LogicalPlan) -> Result<LogicalPlan> {
    let taken_apart = plan.transform_up(|node| {
        let beside = match &node {
            LogicalPlan::Join(join) => elements_beside(join)?,
            _ => None,
        };
        Ok(match beside {
            Some(beside) => Transformed::yes(beside),
            None => Transformed::no(node),
        })
    })?;
    Ok(taken_apart.data)
}

/// The elements on the right side of a join, taken apart: the UNNEST, the projection of its arrays, and those above it from the top down.
struct Elements<'a> {
    above: Vec<&'a Projection>,
    unnest: &'a Unnest,
    arrays: &'a Projection,
}

fn elements(plan: &LogicalPlan) -> Option<Elements<'_>> {
    let mut above: Vec<&Projection> = Vec::new();
    let mut plan = match plan {
        LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
        other => other,
    };
    let LogicalPlan::Subquery(subquery) = plan else {
        return None;
    };
    plan = subquery.subquery.as_ref();
    loop {
        match plan {
            LogicalPlan::Projection(projection) => {
                above.push(projection);
                plan = projection.input.as_ref();
            }
            LogicalPlan::Unnest(unnest) => {
                let LogicalPlan::Projection(arrays) = unnest.input.as_ref() else {
                    return None;
                };
                let is_of_nothing = matches!(arrays.input.as_ref(), LogicalPlan::EmptyRelation(_));
                return is_of_nothing.then_some(Elements { above, unnest, arrays });
            }
            _ => return None,
        }
    }
}

/// The rows of such a join without it; `None` where it is another one.
pub fn elements_beside(join: &Join) -> Result<Option<LogicalPlan>> {
    let is_beside = join.join_type == JoinType::Inner && join.on.is_empty() && join.filter.is_none();
    let Some(elements) = elements(&join.right).filter(|elements| is_beside && elements.are_of(join.left.schema()))
    else {
        return Ok(None);
    };
    let own = || join.left.schema().columns().into_iter().map(Expr::Column);
    let with_own = |made: &[Expr], input: LogicalPlan| -> Result<LogicalPlan> {
        let mut columns: Vec<Expr> = own().collect();
        for expr in made {
            columns.push(of_event(expr.clone())?);
        }
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?))
    };
    let arrays = with_own(&elements.arrays.expr, join.left.as_ref().clone())?;
    let unnest = elements.unnest;
    let unnest = Unnest::try_new(Arc::new(arrays), unnest.exec_columns.clone(), unnest.options.clone())?;
    let mut plan = LogicalPlan::Unnest(unnest);
    let (shown, below) = match elements.above.split_first() {
        Some((shown, below)) => (Some(shown), below),
        None => (None, &[][..]),
    };
    for projection in below.iter().rev() {
        plan = with_own(&projection.expr, plan)?;
    }
    // Under the names that they have beside the event, and no others in between: where an element had its name with its table and without it, rules of
    // the optimizer would take the one for the other.
    let first = own().count();
    let element = |place: usize| match shown {
        Some(projection) => of_event(projection.expr[place].clone().unalias()),
        None => Ok(Expr::Column(Column::from(plan.schema().qualified_field(first + place)))),
    };
    let mut columns: Vec<Expr> = own().collect();
    for (place, (qualifier, field)) in join.right.schema().iter().enumerate() {
        columns.push(element(place)?.alias_qualified(qualifier.cloned(), field.name()));
    }
    let plan = Projection::try_new(columns, Arc::new(plan))?;
    Ok(Some(LogicalPlan::Projection(plan)))
}

impl Elements<'_> {
    /// Whether they are made of the row beside which they stand, and of no row farther out and no subquery.
    fn are_of(&self, row: &DFSchema) -> bool {
        let is_farther = |part: &Expr| {
            Ok(match part {
                Expr::OuterReferenceColumn(_, column) => !row.has_column(column),
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => true,
                _ => false,
            })
        };
        let above = self.above.iter().flat_map(|projection| &projection.expr);
        let mut made = above.chain(&self.arrays.expr);
        !made.any(|expr| expr.exists(is_farther).unwrap_or(true))
    }
}

/// An expression over the event beside which it stands.
fn of_event(expr: Expr) -> Result<Expr> {
    let of_event = expr.transform(|part| {
        Ok(match part {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(of_event.data)
}

//! Subqueries that depend on the row around them, wherever they stand: as a value, beside IN, ANY, ALL and EXISTS, inside of an aggregate, behind LATERAL.
//!
//! The query engine works out the plain ones itself, in a WHERE, and is left to them ([`engine`]). Any other is planned here as joins, so that none is worked out row by row:
//!
//! ```text
//! SELECT id, (SELECT sum(k) FROM u WHERE u.c > t.a) FROM t
//!
//! t LEFT JOIN (SELECT outer.a, sum(k) FROM outer LEFT JOIN u ON u.c > outer.a GROUP BY outer.a) AS found ON t.a IS NOT DISTINCT FROM found.a
//! where outer is SELECT DISTINCT a FROM t
//! ```
//!
//! 1. The columns of the outer row that the subquery names are its [`domain`]: their values, each once.
//! 2. The domain is pushed down into the subquery until it meets the nodes that name it ([`push`]). The subquery's rows then say which outer row they are of.
//! 3. The outer rows are joined with them ([`values`]): for one value, or for a mark that says whether there are any.
//!
//! `x IN (SELECT y …)` and its like are true, false or not known; [`truth`] makes two questions of them, each of which is only true or false.
//!
//! Source: T. Neumann, A. Kemper, "Unnesting Arbitrary Queries" (BTW 2015).

mod domain;
mod engine;
mod only;
mod push;
mod truth;
mod values;

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder};

use headwater_views::elements_beside;

use domain::{Domain, named};
use values::Below;

/// A plan in which no subquery depends on its row but those that the engine works out. `depth` tells the plans of views in each other apart.
pub(crate) fn unnested(plan: LogicalPlan, depth: usize) -> Result<LogicalPlan> {
    let names = Names {
        depth,
        given: Cell::new(0),
    };
    names.plan(plan)
}

/// Gives the columns that are made here names like nothing that a user names, each its own.
struct Names {
    depth: usize,
    given: Cell<usize>,
}

impl Names {
    fn next(&self) -> String {
        self.given.set(self.given.get() + 1);
        format!("?{}_{}", self.depth, self.given.get())
    }

    fn plan(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        plan.transform_up(|node| self.node(node)).data()
    }

    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match node {
            LogicalPlan::Filter(filter) if has_subquery(&filter.predicate) => self.filter(filter).map(Transformed::yes),
            LogicalPlan::Join(join) if is_lateral(&join.right) || names_its_left(&join) => {
                self.lateral(join).map(Transformed::yes)
            }
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(has_subquery) => self.condition(join),
            node @ (LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Sort(_))
                if node.expressions().iter().any(has_subquery) =>
            {
                self.values_of(node).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// A condition: what must be true is asked as semi and anti joins, what stands deeper in it as marks.
    fn filter(&self, filter: Filter) -> Result<LogicalPlan> {
        let columns = filter.input.schema().columns();
        let mut below = Below::over(Arc::unwrap_or_clone(filter.input));
        let mut kept: Vec<Expr> = Vec::new();
        for part in split_conjunction_owned(filter.predicate) {
            let part = self.inside_first(part)?;
            if engine::finds(&part, &below.plan) {
                kept.push(part);
                continue;
            }
            let asked = self.asked(part, &mut below)?;
            for part in split_conjunction_owned(truth::must_hold(asked)) {
                kept.extend(self.held(part, &mut below)?);
            }
        }
        let mut plan = below.plan;
        if let Some(kept) = conjunction(kept) {
            plan = LogicalPlan::Filter(Filter::try_new(kept, Arc::new(plan))?);
        }
        only_columns(plan, &columns)
    }

    /// A part of a condition, in a join where it is a subquery itself; what is left of it to ask.
    fn held(&self, part: Expr, below: &mut Below) -> Result<Option<Expr>> {
        if engine::finds(&part, &below.plan) {
            return Ok(Some(part));
        }
        match truth::existing(part) {
            Ok((subquery, negated)) => {
                let join_type = if negated {
                    JoinType::LeftAnti
                } else {
                    JoinType::LeftSemi
                };
                self.joined(below, subquery, join_type)?;
                Ok(None)
            }
            Err(part) => self.value(part, below, engine::IN_A_FILTER).map(Some),
        }
    }

    /// Plans the subqueries inside of those of an expression.
    fn inside_first(&self, expr: Expr) -> Result<Expr> {
        let planned = expr.transform_up(|part| truth::with_plan(part, |plan| self.plan(plan)).map(Transformed::yes))?;
        Ok(planned.data)
    }

    /// Makes two questions of each IN, ANY and ALL; what is looked for has its own subqueries worked out before.
    fn asked(&self, expr: Expr, below: &mut Below) -> Result<Expr> {
        let asked = expr.transform_up(|part| match truth::compared(part)? {
            Err(other) => Ok(Transformed::no(other)),
            Ok(mut compared) => {
                if has_subquery(&compared.sought) {
                    compared.sought = self.value(compared.sought, below, engine::ELSEWHERE)?;
                }
                compared.asked(below.plan.schema()).map(Transformed::yes)
            }
        })?;
        Ok(asked.data)
    }

    /// A node whose expressions have subqueries in them.
    fn values_of(&self, node: LogicalPlan) -> Result<LogicalPlan> {
        let Some(input) = node.inputs().first().map(|input| (*input).clone()) else {
            return Ok(node);
        };
        let columns = node.schema().columns();
        let passes_on = matches!(node, LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        let is_named = !matches!(node, LogicalPlan::Sort(_));
        let place = match node {
            LogicalPlan::Projection(_) => engine::IN_A_PROJECTION,
            _ => engine::ELSEWHERE,
        };
        let mut below = Below::over(input);
        // What stands in several grouping sets is one column.
        let mut known: Vec<(Expr, Expr)> = Vec::new();
        let mut rewrite = |expr: Expr| -> Result<Expr> {
            if let Some((_, rewritten)) = known.iter().find(|(before, _)| *before == expr) {
                return Ok(rewritten.clone());
            }
            let name = expr.qualified_name();
            let rewritten = self.inside_first(expr.clone())?;
            let rewritten = self.asked(rewritten, &mut below)?;
            let rewritten = self.value(rewritten, &mut below, place)?;
            let rewritten = match is_named && rewritten.qualified_name() != name {
                true => rewritten.alias_qualified(name.0, name.1),
                false => rewritten,
            };
            known.push((expr, rewritten.clone()));
            Ok(rewritten)
        };
        let mut exprs: Vec<Expr> = Vec::new();
        for expr in node.expressions() {
            exprs.push(match expr {
                sets @ Expr::GroupingSet(_) => sets.map_children(|part| rewrite(part).map(Transformed::yes))?.data,
                expr => rewrite(expr)?,
            });
        }
        let rebuilt = node.with_new_exprs(exprs, vec![below.plan])?.recompute_schema()?;
        match passes_on {
            true => only_columns(rebuilt, &columns),
            false => Ok(rebuilt),
        }
    }

    /// `FROM t, LATERAL (…)`: each row beside the rows of its own. The elements of its arrays are no join: nothing is looked for by a whole array.
    fn lateral(&self, join: Join) -> Result<LogicalPlan> {
        if let Some(beside) = elements_beside(&join)? {
            return Ok(beside);
        }
        let columns = join.schema.columns();
        let right = without_wrapper(Arc::unwrap_or_clone(join.right));
        let domain = Domain::of(&join.left, &right)?;
        let (right, of_right) = self.push(right, &domain)?;
        let pairs = domain.pairs(&of_right);
        let (left, filter) = (Arc::unwrap_or_clone(join.left), join.filter);
        let joined = domain::join(left, right, join.join_type, pairs, join.on, filter)?;
        only_columns(joined, &columns)
    }

    /// A subquery in the condition of a join: above it where all rows must pass it, below it where it is about one side.
    fn condition(&self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let (with, without): (Vec<Expr>, Vec<Expr>) = join
            .filter
            .iter()
            .cloned()
            .flat_map(split_conjunction_owned)
            .partition(has_subquery);
        let Some(asked) = conjunction(with) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let plain = |join: Join| Join {
            filter: conjunction(without),
            ..join
        };
        if join.join_type == JoinType::Inner {
            let joined = LogicalPlan::Join(plain(join));
            let filter = Filter::try_new(asked, Arc::new(joined))?;
            return self.filter(filter).map(Transformed::yes);
        }
        let is_about_right = engine::is_about(&asked, join.right.schema());
        if join.join_type == JoinType::Left && is_about_right {
            let right = self.filter(Filter::try_new(asked, Arc::clone(&join.right))?)?;
            let joined = plain(Join {
                right: Arc::new(right),
                ..join
            });
            return LogicalPlan::Join(joined).recompute_schema().map(Transformed::yes);
        }
        Ok(Transformed::no(LogicalPlan::Join(join)))
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let is_one = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_)
        ))
    };
    expr.exists(is_one).unwrap_or(false)
}

/// Whether the right side of a join is a query that names columns of the left one.
fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        LogicalPlan::Subquery(_) => true,
        _ => false,
    }
}

/// Whether the right side of a join names columns of the left one without the node that says so: in a subquery of its own, which is worked out by now.
fn names_its_left(join: &Join) -> bool {
    named(&join.right).is_ok_and(|columns| columns.iter().any(|column| join.left.schema().has_column(column)))
}

/// The query without the node that says that it is lateral.
fn without_wrapper(plan: LogicalPlan) -> LogicalPlan {
    let unwrapped = plan.transform_down(|node| match node {
        LogicalPlan::Subquery(inner) => Ok(Transformed::yes(Arc::unwrap_or_clone(inner.subquery))),
        other => Ok(Transformed::no(other)),
    });
    unwrapped.map(|plan| plan.data).unwrap_or_default()
}

/// A plan with these columns and no others.
fn only_columns(plan: LogicalPlan, columns: &[Column]) -> Result<LogicalPlan> {
    if plan.schema().columns() == columns {
        return Ok(plan);
    }
    let columns = columns.iter().cloned().map(Expr::Column);
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

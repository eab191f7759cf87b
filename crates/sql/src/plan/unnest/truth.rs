//! `x IN (SELECT y …)`, ANY and ALL, which may be not known, as questions that never are: is there a row for which it holds, and one for which that is not known?
//!
//! ```text
//! x = ANY (q)      CASE WHEN EXISTS (q WHERE x = y) THEN true WHEN EXISTS (q WHERE (x = y) IS NULL) THEN NULL ELSE false END
//! x < ALL (q)      CASE WHEN EXISTS (q WHERE NOT x < y) THEN false WHEN EXISTS (q WHERE (x < y) IS NULL) THEN NULL ELSE true END
//! ```
//!
//! `x IN (q)` is `x = ANY (q)`, and `x NOT IN (q)` is `x <> ALL (q)`. Where a condition must hold, the second question is asked only if it matters.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, Spans};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr, exists,
    lit, not,
};

use super::domain::named;
use crate::{SqlError, SqlState};

/// The plan of a subquery.
pub(super) fn plan_of(part: &Expr) -> Option<&Arc<LogicalPlan>> {
    match part {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. })
        | Expr::ScalarSubquery(subquery) => Some(&subquery.subquery),
        _ => None,
    }
}

/// The same expression over another plan, where it is a subquery.
pub(super) fn with_plan(mut part: Expr, change: impl Fn(LogicalPlan) -> Result<LogicalPlan>) -> Result<Expr> {
    if let Expr::Exists(Exists { subquery, .. })
    | Expr::InSubquery(InSubquery { subquery, .. })
    | Expr::SetComparison(SetComparison { subquery, .. })
    | Expr::ScalarSubquery(subquery) = &mut part
    {
        let plan = change(Arc::unwrap_or_clone(Arc::clone(&subquery.subquery)))?;
        *subquery = Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: Arc::new(plan),
            spans: Spans::new(),
        };
    }
    Ok(part)
}

/// The query and whether it must have no rows, of a part of a condition that asks that and nothing else.
pub(super) fn existing(part: Expr) -> Result<(LogicalPlan, bool), Expr> {
    match part {
        Expr::Exists(Exists { subquery, negated }) => Ok((Arc::unwrap_or_clone(subquery.subquery), negated)),
        Expr::Not(inner) => match *inner {
            Expr::Exists(Exists { subquery, negated }) => Ok((Arc::unwrap_or_clone(subquery.subquery), !negated)),
            inner => Err(not(inner)),
        },
        part => Err(part),
    }
}

/// A value that is compared with the column of a query.
pub(super) struct Compared {
    pub(super) sought: Expr,
    op: Operator,
    found: Column,
    plan: LogicalPlan,
    of_all: bool,
}

/// What IN, ANY and ALL compare; anything else as it is.
pub(super) fn compared(part: Expr) -> Result<Result<Compared, Expr>> {
    let (sought, op, subquery, of_all) = match part {
        Expr::InSubquery(within) => match within.negated {
            false => (within.expr, Operator::Eq, within.subquery, false),
            true => (within.expr, Operator::NotEq, within.subquery, true),
        },
        Expr::SetComparison(compared) => {
            let of_all = compared.quantifier == SetQuantifier::All;
            (compared.expr, compared.op, compared.subquery, of_all)
        }
        other => return Ok(Err(other)),
    };
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let columns = plan.schema().columns();
    let [found] = columns.as_slice() else {
        return Err(too_many_columns().into());
    };
    Ok(Ok(Compared {
        sought: *sought,
        op,
        found: found.clone(),
        plan,
        of_all,
    }))
}

/// What a subquery that is a value, or a list of values, is refused for.
pub(super) fn too_many_columns() -> SqlError {
    SqlError::new(SqlState::SYNTAX, "subquery has too many columns").hint("let it select one")
}

impl Compared {
    /// The two questions, about rows of this schema.
    pub(super) fn asked(self, rows: &DFSchema) -> Result<Expr> {
        let of_all = self.of_all;
        let compared = binary_expr(
            from_inside(&self.sought, rows)?,
            self.op,
            Expr::Column(self.found.clone()),
        );
        let decides = if of_all {
            not(compared.clone())
        } else {
            compared.clone()
        };
        let decided = exists(Arc::new(filtered(&self.plan, decides)?));
        let unknown = self.unknown(rows, compared)?;
        let whens = std::iter::once((decided, lit(!of_all))).chain(unknown.map(|unknown| (unknown, unknown_truth())));
        let whens = whens.map(|(when, then)| (Box::new(when), Box::new(then)));
        Ok(Expr::Case(Case::new(
            None,
            whens.collect(),
            Some(Box::new(lit(of_all))),
        )))
    }

    /// Whether there is a row for which it is not known; `None`: there is none.
    fn unknown(&self, rows: &DFSchema, compared: Expr) -> Result<Option<Expr>> {
        let sought_may_be = self.sought.nullable(rows).unwrap_or(true);
        let found_may_be = self.plan.schema().field_from_column(&self.found)?.is_nullable();
        if !sought_may_be && !found_may_be {
            return Ok(None);
        }
        if !named(&self.plan)?.is_empty() {
            return Ok(Some(exists(Arc::new(filtered(&self.plan, compared.is_null())?))));
        }
        // One row is enough to tell, the same for all.
        let is_any = |plan: LogicalPlan| -> Result<Expr> {
            let one = LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?;
            Ok(exists(Arc::new(one)))
        };
        let of_sought = match sought_may_be {
            true => Some(self.sought.clone().is_null().and(is_any(self.plan.clone())?)),
            false => None,
        };
        let of_found = match found_may_be {
            true => Some(is_any(filtered(
                &self.plan,
                Expr::Column(self.found.clone()).is_null(),
            )?)?),
            false => None,
        };
        Ok(of_sought.into_iter().chain(of_found).reduce(Expr::or))
    }
}

fn filtered(plan: &LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(plan.clone()).filter(condition)?.build()
}

/// A value of the rows as a subquery names it.
fn from_inside(value: &Expr, rows: &DFSchema) -> Result<Expr> {
    let named = value.clone().transform_up(|part| match part {
        Expr::Column(column) => {
            let field = Arc::clone(rows.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(named.data)
}

fn unknown_truth() -> Expr {
    lit(ScalarValue::Boolean(None))
}

/// What is true exactly where a condition is, of parts that are never unknown as far as they are told.
pub(super) fn must_hold(condition: Expr) -> Expr {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => binary_expr(must_hold(*left), op, must_hold(*right)),
        Expr::Not(inner) => match told(&inner) {
            Some(told) => told.fails(),
            None => Expr::Not(inner),
        },
        other => match told(&other) {
            Some(told) => told.holds(),
            None => other,
        },
    }
}

/// The two questions.
struct Told {
    decided: Expr,
    unknown: Option<Expr>,
    /// What it is where the first one is answered with yes.
    is_true: bool,
}

impl Told {
    fn holds(self) -> Expr {
        match self.is_true {
            true => self.decided,
            false => self.neither(),
        }
    }

    fn fails(self) -> Expr {
        match self.is_true {
            true => self.neither(),
            false => self.decided,
        }
    }

    fn neither(self) -> Expr {
        let unknown = self.unknown.map(not);
        std::iter::once(not(self.decided))
            .chain(unknown)
            .reduce(Expr::and)
            .unwrap_or_else(|| lit(true))
    }
}

/// The questions of a CASE that is made of them.
fn told(expr: &Expr) -> Option<Told> {
    let Expr::Case(Case {
        expr: None,
        when_then_expr,
        else_expr: Some(otherwise),
    }) = expr
    else {
        return None;
    };
    let truth = |value: &Expr| match value {
        Expr::Literal(ScalarValue::Boolean(Some(truth)), _) => Some(*truth),
        _ => None,
    };
    let is_null = |value: &Expr| matches!(value, Expr::Literal(value, _) if value.is_null());
    let (decided, unknown) = match when_then_expr.as_slice() {
        [decided] => (decided, None),
        [decided, (when, then)] if is_null(then) => (decided, Some(when.as_ref().clone())),
        _ => return None,
    };
    let (is_true, otherwise) = (truth(&decided.1)?, truth(otherwise)?);
    (is_true != otherwise && matches!(decided.0.as_ref(), Expr::Exists(_))).then(|| Told {
        decided: decided.0.as_ref().clone(),
        unknown,
        is_true,
    })
}

//! From a question's logical plan to expressions over one row, where it is no more than that.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::environment::{Environment, Physical, column, is_moment, placed};
use super::lookup::Lookup;
use super::run::{Body, Direct};
use crate::inner::Inner;
use crate::question::{Moments, Names, QuestionReads, type_fields};
use crate::syntax::Question;

/// Who a question is compiled for: one that speaks of its user is another for everybody, and is planned each time.
pub(super) const NOBODY: &str = "\u{1f}nobody";

/// Compiles a question, where it can be worked out without a plan. One that fails to plan is left to say why when it is asked.
pub(super) fn direct(inner: &Inner, question: &Question, types: &[DataType]) -> Option<Direct> {
    if !question.rewinds.is_empty() {
        return None;
    }
    let state = inner.starting();
    let plan = analyzed(inner, &state, question, types).ok()?;
    compile(&state, &plan, types).ok().flatten()
}

/// The plan of a question that nobody asks yet.
pub(super) fn analyzed(
    inner: &Inner,
    state: &SessionState,
    question: &Question,
    types: &[DataType],
) -> Result<LogicalPlan> {
    let reads = QuestionReads::default();
    let moments = Moments::new(state, None);
    let types: Vec<Option<DataType>> = types.iter().cloned().map(Some).collect();
    let names = Names::new(inner, state, &reads, &moments).asked_by(NOBODY);
    let plan = names.plan(question, &type_fields(&types))?;
    state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
}

fn compile(state: &SessionState, plan: &LogicalPlan, types: &[DataType]) -> Result<Option<Direct>> {
    let Some(moments) = moments_of(plan)? else {
        return Ok(None);
    };
    let mut environment = Environment::new(types);
    for (name, data_type) in &moments {
        environment.add(name.clone(), data_type.clone());
    }
    let mut compiling = Compiling {
        state,
        looking: environment.clone(),
        environment,
        lookups: Vec::new(),
    };
    let body = match plan {
        LogicalPlan::Values(values) => compiling.values(&values.values)?,
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => compiling.row(&projection.expr, None)?,
            LogicalPlan::Filter(filter) => match filter.input.as_ref() {
                LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => {
                    compiling.row(&projection.expr, Some(&filter.predicate))?
                }
                _ => compiling.found(plan)?,
            },
            _ => compiling.found(plan)?,
        },
        _ => None,
    };
    let schema: SchemaRef = crate::question::shown(plan.schema().inner());
    Ok(body.map(|body| Direct {
        schema,
        moments: moments.into_iter().map(|(name, _)| name).collect(),
        environment: compiling.looking.schema(),
        full: compiling.environment.schema(),
        lookups: compiling.lookups,
        body,
    }))
}

/// The moments that a plan speaks of, with their types; `None` where it speaks of its user.
pub(super) fn moments_of(plan: &LogicalPlan) -> Result<Option<Vec<(String, DataType)>>> {
    let mut moments: Vec<(String, DataType)> = Vec::new();
    let mut of_user = false;
    plan.apply_with_subqueries(|node| {
        let schema = node.schema();
        node.apply_expressions(|expr| {
            expr.apply(|inner| {
                match inner {
                    Expr::ScalarFunction(function) if is_moment(function.name()) && function.args.is_empty() => {
                        let found = (function.name().to_owned(), inner.get_type(schema)?);
                        if !moments.contains(&found) {
                            moments.push(found);
                        }
                    }
                    Expr::Literal(value, _) => of_user |= is_nobody(value),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok((!of_user).then_some(moments))
}

fn is_nobody(value: &ScalarValue) -> bool {
    value.try_as_str().flatten().is_some_and(|text| text.contains(NOBODY))
}

struct Compiling<'a> {
    state: &'a SessionState,
    /// What lookups see.
    looking: Environment,
    /// What everything else sees: the same, and what the lookups found.
    environment: Environment,
    lookups: Vec<Lookup>,
}

impl Compiling<'_> {
    /// One row, or none where the condition does not hold.
    fn row(&mut self, selects: &[Expr], condition: Option<&Expr>) -> Result<Option<Body>> {
        let condition = match condition {
            Some(condition) => match self.one(condition)? {
                Some(condition) => Some(condition),
                None => return Ok(None),
            },
            None => None,
        };
        let Some(row) = self.several(selects)? else {
            return Ok(None);
        };
        // Only now is it known what everything sees.
        let condition = condition
            .map(|expr| self.environment.physical(self.state, expr))
            .transpose()?;
        let row = self.physical(row)?;
        Ok(Some(Body::Row { condition, row }))
    }

    fn values(&mut self, rows: &[Vec<Expr>]) -> Result<Option<Body>> {
        let mut placed: Vec<Vec<Expr>> = Vec::new();
        for row in rows {
            let Some(row) = self.several(row)? else { return Ok(None) };
            placed.push(row);
        }
        let mut physical: Vec<Vec<Physical>> = Vec::new();
        for row in placed {
            physical.push(self.physical(row)?);
        }
        Ok(Some(Body::Values(physical)))
    }

    /// The row of one lookup.
    fn found(&mut self, plan: &LogicalPlan) -> Result<Option<Body>> {
        let lookup = Lookup::new(self.state, &self.looking, plan, true)?;
        Ok(lookup.map(|lookup| {
            self.lookups.push(lookup);
            Body::Found
        }))
    }

    fn physical(&self, row: Vec<Expr>) -> Result<Vec<Physical>> {
        let row = row.into_iter();
        row.map(|expr| self.environment.physical(self.state, expr)).collect()
    }

    fn several(&mut self, exprs: &[Expr]) -> Result<Option<Vec<Expr>>> {
        let mut placed: Vec<Expr> = Vec::new();
        for expr in exprs {
            let Some(expr) = self.one(expr)? else { return Ok(None) };
            placed.push(expr);
        }
        Ok(Some(placed))
    }

    /// An expression whose subqueries are lookups.
    fn one(&mut self, expr: &Expr) -> Result<Option<Expr>> {
        placed(expr, |inner| match inner {
            Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => {
                self.looked_up(&subquery.subquery, true)
            }
            Expr::Exists(exists) if exists.subquery.outer_ref_columns.is_empty() => {
                let found = self.looked_up(&exists.subquery.subquery, false)?;
                Ok(found.map(|found| match exists.negated {
                    true => Expr::Not(Box::new(found)),
                    false => found,
                }))
            }
            _ => Ok(None),
        })
    }

    fn looked_up(&mut self, plan: &LogicalPlan, of_value: bool) -> Result<Option<Expr>> {
        let lookup = Lookup::new(self.state, &self.looking, plan, of_value)?;
        let Some(lookup) = lookup else { return Ok(None) };
        let name = format!("?{}", self.lookups.len());
        self.environment.add(name.clone(), lookup.data_type()?);
        self.lookups.push(lookup);
        Ok(Some(column(&name)))
    }
}

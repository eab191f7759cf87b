//! What guards a division or a cast is asked first: `n <> 0 AND 100 / n > 3`, `sum(100 / n) FILTER (WHERE n <> 0)`.
//!
//! The query engine works out both sides of an AND over all rows, and the argument of an aggregate also of rows that its FILTER leaves out; a row that was to be
//! kept from it then ends the question. Here the divisor, or the text that is cast, is NULL where what stands before it keeps the row out. Conditions stay
//! beside each other, so that they are pushed down as ever. (A CASE around the whole condition would be turned back into an AND.)

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;

/// Puts such guards in; runs after types were coerced.
#[derive(Debug)]
pub(crate) struct GuardsFirst;

impl AnalyzerRule for GuardsFirst {
    fn name(&self) -> &str {
        "guards_first"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let is_filter = matches!(node, LogicalPlan::Filter(_));
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let guarded = match is_filter {
                    true => conditions(expr, &schema)?,
                    false => expr.transform_up(|part| guarded(part, &schema))?,
                };
                Ok(guarded.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(guarded.data)
    }
}

/// The conditions of a filter, which keeps a row where all of them hold: one that may fail is asked where those before it hold that cannot.
fn conditions(predicate: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = false;
    let mut before: Vec<Expr> = Vec::new();
    let mut all: Vec<Expr> = Vec::new();
    for condition in split_conjunction_owned(predicate) {
        let inner = condition.transform_up(|part| guarded(part, schema))?;
        changed |= inner.transformed;
        let condition = inner.data;
        let is_plain = !asks(&condition);
        match (may_fail(&condition, schema), conjunction(before.iter().cloned())) {
            (true, Some(guard)) if is_plain => {
                changed = true;
                all.push(where_holds(condition, &guard, schema)?);
            }
            (true, _) => all.push(condition),
            (false, _) => {
                before.extend(is_plain.then(|| condition.clone()));
                all.push(condition);
            }
        }
    }
    let predicate = conjunction(all).unwrap_or_else(|| lit(true));
    Ok(match changed {
        true => Transformed::yes(predicate),
        false => Transformed::no(predicate),
    })
}

/// One part of an expression: its left side, or its FILTER, is asked first.
fn guarded(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::And | Operator::Or)
                && may_fail(&right, schema)
                && !asks(&left)
                && !asks(&right) =>
        {
            let guard = match op {
                Operator::And => Expr::IsNotFalse(left.clone()),
                _ => Expr::IsNotTrue(left.clone()),
            };
            let right = Box::new(where_holds(*right, &guard, schema)?);
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        Expr::AggregateFunction(mut aggregate) if is_filtered(&aggregate, schema) => {
            if let Some(filter) = &aggregate.params.filter {
                let arguments = std::mem::take(&mut aggregate.params.args).into_iter();
                let guarded = arguments.map(|argument| where_holds(argument, filter, schema));
                aggregate.params.args = guarded.collect::<Result<Vec<Expr>>>()?;
            }
            Ok(Transformed::yes(Expr::AggregateFunction(aggregate)))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn is_filtered(aggregate: &AggregateFunction, schema: &DFSchema) -> bool {
    let params = &aggregate.params;
    let filter = params.filter.as_ref();
    filter.is_some_and(|filter| !asks(filter)) && params.args.iter().any(|argument| may_fail(argument, schema))
}

/// The same expression, NULL instead of a failure where the guard does not hold.
fn where_holds(expr: Expr, guard: &Expr, schema: &DFSchema) -> Result<Expr> {
    let kept = |operand: Expr| {
        let branch = vec![(Box::new(guard.clone()), Box::new(operand))];
        Expr::Case(Case::new(None, branch, None))
    };
    let guarded = expr.transform_down(|part| {
        Ok(match part {
            Expr::Case(_) => Transformed::new(part, false, TreeNodeRecursion::Jump),
            part if !fails_itself(&part, schema) => Transformed::no(part),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let right = Box::new(kept(*right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            Expr::ScalarFunction(mut function) => {
                let divisor = function.args.pop().map(kept);
                function.args.extend(divisor);
                Transformed::yes(Expr::ScalarFunction(function))
            }
            Expr::Cast(Cast { expr, field }) => {
                let expr = Box::new(kept(*expr));
                Transformed::yes(Expr::Cast(Cast { expr, field }))
            }
            part => Transformed::no(part),
        })
    })?;
    Ok(guarded.data)
}

/// Whether an expression divides, or makes something else of a text, outside of a CASE that guards it already.
fn may_fail(expr: &Expr, schema: &DFSchema) -> bool {
    let mut found = false;
    let looked = expr.apply(|part| {
        found |= !matches!(part, Expr::Case(_)) && fails_itself(part, schema);
        Ok(match part {
            _ if found => TreeNodeRecursion::Stop,
            Expr::Case(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    });
    found || looked.is_err()
}

fn fails_itself(part: &Expr, schema: &DFSchema) -> bool {
    match part {
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::Divide | Operator::Modulo,
            right,
            ..
        }) => !is_safe_divisor(right),
        Expr::ScalarFunction(function) if function.name() == crate::exact::DIVISION => {
            !function.args.last().is_some_and(is_safe_divisor)
        }
        Expr::Cast(Cast { expr, field }) => {
            let is_value = matches!(expr.as_ref(), Expr::Literal(..) | Expr::Placeholder(_));
            let of_text = || expr.get_type(schema).is_ok_and(|data_type| data_type.is_string());
            !is_value && !field.data_type().is_string() && of_text()
        }
        _ => false,
    }
}

/// A number other than zero, with whatever type it was given.
fn is_safe_divisor(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            let number = value.cast_to(&DataType::Float64);
            number.is_ok_and(|number| number != ScalarValue::Float64(Some(0.0)))
        }
        Expr::Cast(Cast { expr: inner, .. }) => is_safe_divisor(inner),
        _ => false,
    }
}

/// Whether a subquery is asked in it, which is not to be asked twice.
fn asks(expr: &Expr) -> bool {
    let is_subquery = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
        ))
    };
    expr.exists(is_subquery).unwrap_or(true)
}

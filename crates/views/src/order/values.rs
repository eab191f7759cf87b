//! `first_value(x)` and `last_value(x)` without an order of their own, and `array_agg(x)`: by the order of events.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, NullTreatment};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, TableScan};

use super::carry::{carry, is_carried, narrowed, place_column, streams_read};
use super::ends::{first, last};
use super::rank::rank;
use crate::rows::entries::list;

/// The plan of a query with GROUP BY, its first and last values and its lists taken by the order of events.
pub(crate) fn by_position(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_down(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.aggr_expr.iter().any(|value| is_end(value) || is_list(value)) =>
        {
            let ordered = ordered(&aggregate, |_| true)?;
            Ok(Transformed::new(ordered, true, TreeNodeRecursion::Stop))
        }
        other => Ok(Transformed::no(other)),
    })?;
    match rewritten.transformed {
        true => narrowed(rewritten.data),
        false => Ok(rewritten.data),
    }
}

/// A question's plan, its first and last values and its lists that have no order of their own taken by the order of events, where they are made of
/// events of streams alone, and of no join. `is_stream` says which tables are streams.
pub fn in_order_of_events(plan: LogicalPlan, is_stream: &dyn Fn(&TableScan) -> bool) -> Result<LogicalPlan> {
    let is_unordered = |value: &Expr| {
        let own = |function: &AggregateFunction| !function.params.order_by.is_empty();
        (is_end(value) || is_list(value)) && !function_of(value).is_some_and(own)
    };
    let rewritten = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.aggr_expr.iter().any(is_unordered) && is_carried(&aggregate.input, is_stream) =>
        {
            let ordered = ordered(&aggregate, is_unordered)?;
            Ok(Transformed::new(ordered, true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn ordered(aggregate: &Aggregate, is_taken: impl Fn(&Expr) -> bool) -> Result<LogicalPlan> {
    let input = carry(&aggregate.input, &streams_read(&aggregate.input)?)?;
    let place = Expr::Column(place_column(input.schema()));
    let mut values: Vec<Expr> = Vec::with_capacity(aggregate.aggr_expr.len());
    for value in &aggregate.aggr_expr {
        let name = || value.schema_name().to_string();
        values.push(match function_of(value) {
            Some(function) if is_end(value) && is_taken(value) => by_place(function, &place).alias(name()),
            Some(function) if is_list(value) && is_taken(value) => {
                listed(function, &place, input.schema())?.alias(name())
            }
            _ => value.clone(),
        });
    }
    let aggregate = Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), values)?;
    Ok(LogicalPlan::Aggregate(aggregate))
}

/// The aggregate that an expression is. Rules of the analyzer that change what goes into one give it the name that it had.
fn function_of(value: &Expr) -> Option<&AggregateFunction> {
    match value {
        Expr::AggregateFunction(function) => Some(function),
        Expr::Alias(alias) => function_of(&alias.expr),
        _ => None,
    }
}

fn is_end(value: &Expr) -> bool {
    let Some(function) = function_of(value) else {
        return false;
    };
    let AggregateFunctionParams {
        args,
        distinct,
        order_by,
        ..
    } = &function.params;
    matches!(function.func.name(), "first_value" | "last_value") && args.len() == 1 && !distinct && order_by.is_empty()
}

fn is_list(value: &Expr) -> bool {
    let Some(function) = function_of(value) else {
        return false;
    };
    function.func.name() == "array_agg" && function.params.args.len() == 1 && !function.params.distinct
}

fn by_place(function: &AggregateFunction, place: &Expr) -> Expr {
    let value = function.params.args[0].clone();
    let end = match function.func.name() {
        "first_value" => first(value, place.clone()),
        _ => last(value, place.clone()),
    };
    filtered(end, &function.params)
}

fn listed(function: &AggregateFunction, place: &Expr, input: &DFSchema) -> Result<Expr> {
    let params = &function.params;
    let rank = rank(place.clone(), &params.order_by, input)?;
    Ok(filtered(list(params.args[0].clone(), rank), params))
}

/// An aggregate of the rows that these parameters let through.
fn filtered(aggregate: Expr, params: &AggregateFunctionParams) -> Expr {
    let is_known = params.args[0].clone().is_not_null();
    let is_known = (params.null_treatment == Some(NullTreatment::IgnoreNulls)).then_some(is_known);
    let filter = match (params.filter.clone(), is_known) {
        (Some(filter), Some(is_known)) => Some(Box::new((*filter).and(is_known))),
        (filter, is_known) => filter.or(is_known.map(Box::new)),
    };
    match aggregate {
        Expr::AggregateFunction(mut aggregate) => {
            aggregate.params.filter = filter;
            Expr::AggregateFunction(aggregate)
        }
        other => other,
    }
}

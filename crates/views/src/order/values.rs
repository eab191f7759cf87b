//! `first_value(x)` and `last_value(x)` without an order of their own, and `array_agg(x)`: by the order of events.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, NullTreatment};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::carry::{carry, place_column, streams_read};
use super::ends::{first, last};
use super::rank::rank;
use crate::entries::list;

/// The plan of a query with GROUP BY, its first and last values and its lists taken by the order of events.
pub(crate) fn by_position(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_down(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.aggr_expr.iter().any(|value| is_end(value) || is_list(value)) =>
        {
            Ok(Transformed::new(ordered(&aggregate)?, true, TreeNodeRecursion::Stop))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn ordered(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let input = carry(&aggregate.input, &streams_read(&aggregate.input)?)?;
    let place = Expr::Column(place_column(input.schema()));
    let mut values: Vec<Expr> = Vec::with_capacity(aggregate.aggr_expr.len());
    for value in &aggregate.aggr_expr {
        let name = || value.schema_name().to_string();
        values.push(match function_of(value) {
            Some(function) if is_end(value) => by_place(function, &place).alias(name()),
            Some(function) if is_list(value) => listed(function, &place, input.schema())?.alias(name()),
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

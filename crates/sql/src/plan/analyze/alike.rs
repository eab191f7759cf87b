//! Values that are one value in the end: the branches of a CASE, the arguments of `coalesce`, the rows of a UNION, both sides of `IN (SELECT …)`.
//!
//! As in PostgreSQL a decimal among floats becomes a float (the query engine would make decimals of 15 digits of the floats), and a date among moments
//! becomes one (of microseconds: the engine's would end in 2262).

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{InSubquery, ScalarFunction};
use datafusion::logical_expr::{
    Case, Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Subquery, Union, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;
use crate::exact::in_microseconds;

/// Functions whose arguments and result are of one type.
pub(crate) const OF_ONE_TYPE: [&str; 6] = ["coalesce", "greatest", "least", "nullif", "nvl", "make_array"];

/// Gives such values one type; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct AlikeTogether;

impl AnalyzerRule for AlikeTogether {
    fn name(&self) -> &str {
        "alike_together"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = rewrite(plan, together)?;
        let plan = plan.transform_up_with_subqueries(|node| {
            let node = match node {
                LogicalPlan::Union(all) => union(all)?,
                LogicalPlan::Join(join) => joined(join)?,
                other => other,
            };
            Ok(Transformed::yes(node.recompute_schema()?))
        })?;
        Ok(plan.data)
    }
}

fn together(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Case(case) => branches(case, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) if OF_ONE_TYPE.contains(&func.name()) => {
            let args = alike(args, schema);
            args.update_data(|args| Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::InSubquery(within) => in_subquery(within, schema),
        other => Transformed::no(other),
    }
}

/// Of a CASE what it compares is alike, and what it gives.
fn branches(case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let (whens, thens): (Vec<Expr>, Vec<Expr>) = case
        .when_then_expr
        .into_iter()
        .map(|(when, then)| (*when, *then))
        .unzip();
    let compared = match case.expr {
        Some(operand) => alike(std::iter::once(*operand).chain(whens).collect(), schema).update_data(|mut compared| {
            let operand = compared.remove(0);
            (Some(Box::new(operand)), compared)
        }),
        None => Transformed::no((None, whens)),
    };
    let count = thens.len();
    let given = alike(
        thens
            .into_iter()
            .chain(case.else_expr.map(|otherwise| *otherwise))
            .collect(),
        schema,
    );
    let is_changed = compared.transformed || given.transformed;
    let ((operand, whens), mut thens) = (compared.data, given.data);
    let otherwise = thens.split_off(count).pop().map(Box::new);
    let when_then = whens
        .into_iter()
        .zip(thens)
        .map(|(when, then)| (Box::new(when), Box::new(then)));
    let case = Case::new(operand, when_then.collect(), otherwise);
    Transformed::new_transformed(Expr::Case(case), is_changed)
}

fn in_subquery(within: InSubquery, schema: &DFSchema) -> Transformed<Expr> {
    let of = within.expr.get_type(schema).unwrap_or(DataType::Null);
    let Some(field) = within.subquery.subquery.schema().columns().into_iter().next() else {
        return Transformed::no(Expr::InSubquery(within));
    };
    let given = within.subquery.subquery.schema().field(0).data_type().clone();
    if of.is_decimal() && given.is_floating() {
        let expr = Box::new(cast(*within.expr, DataType::Float64));
        return Transformed::yes(Expr::InSubquery(InSubquery { expr, ..within }));
    }
    if !(of.is_floating() && given.is_decimal()) {
        return Transformed::no(Expr::InSubquery(within));
    }
    let name = field.name.clone();
    let floats = LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&within.subquery.subquery)))
        .project([cast(Expr::Column(field), DataType::Float64).alias(name)])
        .and_then(LogicalPlanBuilder::build);
    match floats {
        Ok(floats) => {
            let subquery = Subquery {
                subquery: Arc::new(floats),
                ..within.subquery
            };
            Transformed::yes(Expr::InSubquery(InSubquery { subquery, ..within }))
        }
        Err(_) => Transformed::no(Expr::InSubquery(within)),
    }
}

/// Values of one type, as far as PostgreSQL would make them so.
fn alike(values: Vec<Expr>, schema: &DFSchema) -> Transformed<Vec<Expr>> {
    let of = |value: &Expr| value.get_type(schema).unwrap_or(DataType::Null);
    let types: Vec<DataType> = values.iter().map(of).collect();
    let Some(shared) = shared(&types) else {
        return Transformed::no(values);
    };
    let values = values
        .into_iter()
        .zip(&types)
        .map(|(value, of)| match becomes(of, &shared) {
            true => cast(value, shared.clone()),
            false => value,
        });
    Transformed::yes(values.collect())
}

/// The type of floats with decimals among them, and of moments with dates among them.
fn shared(types: &[DataType]) -> Option<DataType> {
    if types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal) {
        return Some(DataType::Float64);
    }
    let moments = types.iter().filter_map(in_microseconds);
    // One with a zone is a moment; the others are in UTC.
    let moment = moments.max_by_key(|moment| matches!(moment, DataType::Timestamp(_, Some(_))))?;
    types.iter().any(|of| becomes(of, &moment)).then_some(moment)
}

/// Whether a value of a type becomes one of the shared type.
fn becomes(of: &DataType, shared: &DataType) -> bool {
    match shared {
        DataType::Float64 => of.is_decimal(),
        _ => matches!(of, DataType::Date32 | DataType::Date64) || of != shared && in_microseconds(of).is_some(),
    }
}

/// The parts of a UNION with columns of one type each.
fn union(all: Union) -> Result<LogicalPlan> {
    let of_column = |place: usize| -> Option<DataType> {
        let fields = all.inputs.iter().filter_map(|input| input.schema().fields().get(place));
        shared(&fields.map(|field| field.data_type().clone()).collect::<Vec<DataType>>())
    };
    let wanted: Vec<Option<DataType>> = (0..all.schema.fields().len()).map(of_column).collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(LogicalPlan::Union(all));
    }
    let mut inputs: Vec<Arc<LogicalPlan>> = Vec::new();
    for input in all.inputs {
        let columns = input.schema().columns().into_iter().enumerate().map(|(place, column)| {
            let of = input.schema().field(place).data_type();
            match wanted.get(place) {
                Some(Some(wanted)) if becomes(of, wanted) => as_type(column, wanted.clone()),
                _ => Expr::Column(column),
            }
        });
        let columns: Vec<Expr> = columns.collect();
        inputs.push(Arc::new(
            LogicalPlanBuilder::from(Arc::unwrap_or_clone(input))
                .project(columns)?
                .build()?,
        ));
    }
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// What a set operation looks for on its right is a float where it is one on the left.
fn joined(join: Join) -> Result<LogicalPlan> {
    let is_set = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) && join.filter.is_none();
    let of = |side: &Expr, schema: &DFSchema| side.get_type(schema).unwrap_or(DataType::Null);
    let wanted: Vec<Column> = join
        .on
        .iter()
        .filter(|(left, right)| {
            of(left, join.left.schema()).is_floating() && of(right, join.right.schema()).is_decimal()
        })
        .filter_map(|(_, right)| right.try_as_col().cloned())
        .collect();
    if !is_set || wanted.is_empty() {
        return Ok(LogicalPlan::Join(join));
    }
    let columns = join.right.schema().columns().into_iter();
    let columns: Vec<Expr> = columns
        .map(|column| match wanted.contains(&column) {
            true => as_type(column, DataType::Float64),
            false => Expr::Column(column),
        })
        .collect();
    let right = LogicalPlanBuilder::from(Arc::unwrap_or_clone(join.right)).project(columns)?;
    let right = Arc::new(right.build()?);
    Ok(LogicalPlan::Join(Join { right, ..join }))
}

/// A column as one of another type, under its own name.
fn as_type(column: Column, data_type: DataType) -> Expr {
    let (relation, name) = (column.relation.clone(), column.name.clone());
    cast(Expr::Column(column), data_type).alias_qualified(relation, name)
}

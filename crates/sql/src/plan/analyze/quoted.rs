//! A text in quotes takes the type of what stands beside it: `n + '1'`, `flag = 't'`, `coalesce(day, '2024-01-01')`, `at - '2024-01-01'`.
//!
//! In PostgreSQL such a text has no type of its own. One that does not fit is an error that names it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast;

use super::alike::OF_ONE_TYPE;
use super::rewrite::rewrite;
use crate::encode::{interval_text, moment_text, number_text};
use crate::exact::in_microseconds;

/// Gives such texts their types; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct QuotedTexts;

impl AnalyzerRule for QuotedTexts {
    fn name(&self) -> &str {
        "quoted_texts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Union(all) => union(all),
            other => Ok(Transformed::no(other)),
        })?;
        rewrite(plan.data, typed)
    }
}

fn typed(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let sides = sides(*left, op, *right, schema);
            sides.update_data(|(left, right)| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let alike = alike(vec![*expr, *low, *high], schema);
            alike.update_data(|values| match <[Expr; 3]>::try_from(values) {
                Ok([expr, low, high]) => {
                    Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high)))
                }
                Err(_) => lit(ScalarValue::Null),
            })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let alike = alike(std::iter::once(*expr).chain(list).collect(), schema);
            alike.update_data(|mut values| {
                let expr = Box::new(values.remove(0));
                Expr::InList(InList::new(expr, values, negated))
            })
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if OF_ONE_TYPE.contains(&func.name()) => {
            let args = alike(args, schema);
            args.update_data(|args| Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "array_has" => {
            let args = looked_for(args, schema);
            args.update_data(|args| Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::Case(case) => branches(case, schema),
        other => Transformed::no(other),
    }
}

/// Both sides of an operator, the one in quotes with the type that the other one gives it.
fn sides(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Transformed<(Expr, Expr)> {
    let of = |value: &Expr| value.get_type(schema).unwrap_or(DataType::Null);
    let wanted = match (is_quoted(&left), is_quoted(&right)) {
        (true, true) if matches!(op, Operator::And | Operator::Or) => Some(DataType::Boolean),
        (true, false) => beside(op, &of(&right), true),
        (false, true) => beside(op, &of(&left), false),
        _ => None,
    };
    match wanted {
        Some(wanted) => Transformed::yes((read_as(left, &wanted), read_as(right, &wanted))),
        None => Transformed::no((left, right)),
    }
}

/// Gives the texts beside an operator their types when it is planned: the query engine looks at both types at once.
#[derive(Debug)]
pub(crate) struct QuotedBeside;

impl ExprPlanner for QuotedBeside {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let known = match op {
            ast::BinaryOperator::Plus => Some(Operator::Plus),
            ast::BinaryOperator::Minus => Some(Operator::Minus),
            ast::BinaryOperator::Multiply => Some(Operator::Multiply),
            ast::BinaryOperator::Divide => Some(Operator::Divide),
            ast::BinaryOperator::Modulo => Some(Operator::Modulo),
            ast::BinaryOperator::Eq => Some(Operator::Eq),
            ast::BinaryOperator::NotEq => Some(Operator::NotEq),
            ast::BinaryOperator::Lt => Some(Operator::Lt),
            ast::BinaryOperator::LtEq => Some(Operator::LtEq),
            ast::BinaryOperator::Gt => Some(Operator::Gt),
            ast::BinaryOperator::GtEq => Some(Operator::GtEq),
            ast::BinaryOperator::And => Some(Operator::And),
            ast::BinaryOperator::Or => Some(Operator::Or),
            _ => None,
        };
        let (left, right) = match known {
            Some(known) => sides(left, known, right, schema).data,
            None => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

pub(super) fn compares(op: Operator) -> bool {
    op.supports_propagation() || matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

/// The type of a text beside a value of another one; `None` where it stays a text.
fn beside(op: Operator, other: &DataType, is_left: bool) -> Option<DataType> {
    let adds = matches!(op, Operator::Plus | Operator::Minus);
    let counts = adds || matches!(op, Operator::Multiply | Operator::Divide | Operator::Modulo);
    let is_moment = matches!(other, DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_));
    match other {
        _ if other.is_null() || other.is_string() || other.is_nested() || other.is_binary() => None,
        _ if compares(op) => Some(other.clone()),
        _ if other.is_numeric() && counts => Some(other.clone()),
        DataType::Boolean if matches!(op, Operator::And | Operator::Or) => Some(DataType::Boolean),
        DataType::Interval(_) if adds => Some(other.clone()),
        // What is taken from a moment is another one, what is added to it is an interval.
        _ if is_moment && op == Operator::Minus => Some(other.clone()),
        DataType::Timestamp(..) if op == Operator::Plus && !is_left => {
            Some(DataType::Interval(IntervalUnit::MonthDayNano))
        }
        _ => None,
    }
}

/// `'1' = ANY (numbers)` and `n = ANY ('{1,2}')`.
fn looked_for(args: Vec<Expr>, schema: &DFSchema) -> Transformed<Vec<Expr>> {
    let Ok([list, sought]) = <[Expr; 2]>::try_from(args.clone()) else {
        return Transformed::no(args);
    };
    let of = |value: &Expr| value.get_type(schema).unwrap_or(DataType::Null);
    if is_quoted(&list) {
        let element = of(&sought);
        return match element.is_null() || element.is_nested() {
            true => Transformed::no(args),
            false => Transformed::yes(vec![cast(list, DataType::new_list(element, true)), sought]),
        };
    }
    match of(&list) {
        DataType::List(element) if is_quoted(&sought) && !element.data_type().is_string() => {
            let sought = read_as(sought, element.data_type());
            Transformed::yes(vec![list, sought])
        }
        _ => Transformed::no(args),
    }
}

/// Of a CASE what it compares is alike, and what it gives.
fn branches(case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let (whens, thens): (Vec<Expr>, Vec<Expr>) = case
        .when_then_expr
        .into_iter()
        .map(|(when, then)| (*when, *then))
        .unzip();
    let (count, has_operand) = (thens.len(), case.expr.is_some());
    let compared = match case.expr {
        Some(operand) => alike(std::iter::once(*operand).chain(whens).collect(), schema),
        None => Transformed::no(whens),
    };
    let given = thens.into_iter().chain(case.else_expr.map(|otherwise| *otherwise));
    let given = alike(given.collect(), schema);
    let is_changed = compared.transformed || given.transformed;
    let (mut whens, mut thens) = (compared.data, given.data);
    let operand = has_operand.then(|| Box::new(whens.remove(0)));
    let otherwise = thens.split_off(count).pop().map(Box::new);
    let when_then = whens.into_iter().map(Box::new).zip(thens.into_iter().map(Box::new));
    let case = Case::new(operand, when_then.collect(), otherwise);
    Transformed::new_transformed(Expr::Case(case), is_changed)
}

/// The texts in quotes among values that are of one type in the end.
fn alike(values: Vec<Expr>, schema: &DFSchema) -> Transformed<Vec<Expr>> {
    let of_others = values
        .iter()
        .filter(|value| !is_quoted(value))
        .filter_map(|value| value.get_type(schema).ok());
    let Some(wanted) = common(of_others) else {
        return Transformed::no(values);
    };
    let mut is_changed = false;
    let values = values.into_iter().map(|value| {
        is_changed |= is_quoted(&value);
        read_as(value, &wanted)
    });
    let values = values.collect();
    Transformed::new_transformed(values, is_changed)
}

/// The type of values that are none of them texts; of numbers the one that has room for all.
fn common(types: impl Iterator<Item = DataType>) -> Option<DataType> {
    let rank = |of: &DataType| match of {
        whole if whole.is_integer() => 0,
        decimal if decimal.is_decimal() => 1,
        _ => 2,
    };
    types
        .filter(|of| !of.is_null())
        .map(|of| (!of.is_string() && !of.is_nested() && !of.is_binary()).then_some(of))
        .reduce(|first, second| match (first?, second?) {
            (first, second) if first == second => Some(first),
            (first, second) if first.is_numeric() && second.is_numeric() => {
                let (low, high) = (first.clone().min(second.clone()), first.max(second));
                Some(if rank(&low) > rank(&high) { low } else { high })
            }
            _ => None,
        })?
}

/// The columns of a UNION that are texts in quotes on one side and something else on another.
fn union(all: Union) -> Result<Transformed<LogicalPlan>> {
    let width = all.schema.fields().len();
    let quoted = |input: &LogicalPlan, place: usize| match input {
        LogicalPlan::Projection(node) => node.expr.get(place).is_some_and(is_named_quoted),
        _ => false,
    };
    let wanted: Vec<Option<DataType>> = (0..width)
        .map(|place| {
            if !all.inputs.iter().any(|input| quoted(input, place)) {
                return None;
            }
            let others = all.inputs.iter().filter(|input| !quoted(input, place));
            common(others.filter_map(|input| Some(input.schema().fields().get(place)?.data_type().clone())))
        })
        .collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(all)));
    }
    let mut inputs: Vec<Arc<LogicalPlan>> = Vec::new();
    for input in all.inputs {
        let LogicalPlan::Projection(node) = input.as_ref() else {
            inputs.push(input);
            continue;
        };
        let exprs = node
            .expr
            .iter()
            .cloned()
            .zip(&wanted)
            .map(|(expr, wanted)| match wanted {
                Some(wanted) if is_named_quoted(&expr) => {
                    let (relation, name) = expr.qualified_name();
                    read_as(expr.unalias(), wanted).alias_qualified(relation, name)
                }
                _ => expr,
            });
        let node = Projection::try_new(exprs.collect(), Arc::clone(&node.input))?;
        inputs.push(Arc::new(LogicalPlan::Projection(node)));
    }
    let all = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(all)))
}

fn is_named_quoted(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_named_quoted(&alias.expr),
        expr => is_quoted(expr),
    }
}

/// Whether it is a text in quotes, whose type nobody said.
pub(super) fn is_quoted(value: &Expr) -> bool {
    matches!(value, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// A text in quotes as a value of a type; anything else as it is.
fn read_as(value: Expr, wanted: &DataType) -> Expr {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &value else {
        return value;
    };
    if wanted.is_decimal()
        && let Some(decimal) = decimal(number_text::plain(text).as_deref().unwrap_or(text).trim())
    {
        return lit(decimal);
    }
    let (written, wanted) = match wanted {
        DataType::Interval(_) => (interval_text::written(text), wanted.clone()),
        moment @ DataType::Timestamp(_, zone) => (
            if zone.is_some() {
                moment_text::moment(text)
            } else {
                moment_text::shown(text)
            },
            in_microseconds(moment).unwrap_or(DataType::Null),
        ),
        DataType::Date32 => (moment_text::date(text), wanted.clone()),
        _ => (None, wanted.clone()),
    };
    cast(written.map_or(value, lit), wanted)
}

/// A number with the digits that are written.
fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(whole) => (-1, whole),
        None => (1, whole.strip_prefix('+').unwrap_or(whole)),
    };
    let digits = format!("{whole}{fraction}");
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let precision = digits.trim_start_matches('0').len().max(fraction.len()).max(1);
    if !is_plain || precision > usize::from(DECIMAL128_MAX_PRECISION) {
        return None;
    }
    let number: i128 = digits.parse().ok()?;
    Some(ScalarValue::Decimal128(
        Some(sign * number),
        precision as u8,
        fraction.len() as i8,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_the_digits_that_are_written() {
        for (text, expected) in [
            ("1.50", Some((150, 3, 2))),
            ("-0.005", Some((-5, 3, 3))),
            ("+12", Some((12, 2, 0))),
            (".5", Some((5, 1, 1))),
            ("0", Some((0, 1, 0))),
            ("1e3", None),
            ("", None),
            (".", None),
            ("--1", None),
        ] {
            let expected =
                expected.map(|(number, precision, scale)| ScalarValue::Decimal128(Some(number), precision, scale));
            assert_eq!(decimal(text), expected, "{text}");
        }
    }
}

//! A text is no number: `code = 7`, `coalesce(code, 0)` and `ON a.code = b.n` of a TEXT `code` are errors, as in PostgreSQL.
//!
//! The query engine would read a number out of every text. The first event whose text is none would be more than a view or a pipeline can take.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::alike::OF_ONE_TYPE;
use super::quoted::{compares, is_quoted};
use crate::fault::place;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

const HINT: &str = "cast one of them: code::BIGINT = 7, or code = '7'";

/// Refuses such values beside each other; runs when texts in quotes have their types, and before types are coerced.
#[derive(Debug)]
pub(crate) struct TextsAreNoNumbers;

impl AnalyzerRule for TextsAreNoNumbers {
    fn name(&self) -> &str {
        "texts_are_no_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Join(join) = node {
                for (left, right) in &join.on {
                    let types = (of(left, join.left.schema()), of(right, join.right.schema()));
                    compared((left, &types.0), Operator::Eq, (right, &types.1))?;
                }
            }
            let schema = merge_schema(&node.inputs());
            node.apply_expressions(|expr| {
                expr.apply(|part| {
                    check(part, &schema)?;
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

fn of(value: &Expr, schema: &DFSchema) -> DataType {
    value.get_type(schema).unwrap_or(DataType::Null)
}

fn check(part: &Expr, schema: &DFSchema) -> Result<()> {
    let beside =
        |one: &Expr, op: Operator, other: &Expr| compared((one, &of(one, schema)), op, (other, &of(other, schema)));
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => beside(left, *op, right),
        Expr::Between(Between { expr, low, high, .. }) => {
            beside(expr, Operator::GtEq, low)?;
            beside(expr, Operator::LtEq, high)
        }
        Expr::InList(InList { expr, list, .. }) => list.iter().try_for_each(|one| beside(expr, Operator::Eq, one)),
        Expr::InSubquery(within) => {
            let given = within.subquery.subquery.schema();
            match given.columns().into_iter().next() {
                Some(column) => {
                    let column = Expr::Column(column);
                    let types = (of(&within.expr, schema), of(&column, given));
                    compared((&within.expr, &types.0), Operator::Eq, (&column, &types.1))
                }
                None => Ok(()),
            }
        }
        Expr::Case(case) => branches(case, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "nullif" => match args.as_slice() {
            [one, other] => beside(one, Operator::Eq, other),
            _ => Ok(()),
        },
        Expr::ScalarFunction(ScalarFunction { func, args }) if OF_ONE_TYPE.contains(&func.name()) => {
            let what = match func.name() {
                "make_array" => "ARRAY".to_owned(),
                name => name.to_uppercase(),
            };
            matched(&what, args, schema)
        }
        _ => Ok(()),
    }
}

/// Of a CASE what it compares is alike, and what it gives.
fn branches(case: &Case, schema: &DFSchema) -> Result<()> {
    if let Some(operand) = &case.expr {
        let of_operand = of(operand, schema);
        for (when, _) in &case.when_then_expr {
            compared((operand, &of_operand), Operator::Eq, (when, &of(when, schema)))?;
        }
    }
    let given = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
    matched("CASE", given.chain(case.else_expr.as_deref()), schema)
}

/// Values that are compared.
fn compared(one: (&Expr, &DataType), op: Operator, other: (&Expr, &DataType)) -> Result<()> {
    if !is_unlike(one, other) {
        return Ok(());
    }
    let (of_one, of_other) = (type_name(one.1), type_name(other.1));
    let message = format!("operator does not exist: {of_one} {op} {of_other}");
    Err(at(SqlError::new(SqlState::UNKNOWN_FUNCTION, message), [one.0, other.0]).into())
}

/// Values of which one is taken.
fn matched<'a>(what: &str, values: impl IntoIterator<Item = &'a Expr>, schema: &DFSchema) -> Result<()> {
    let mut text: Option<(&Expr, DataType)> = None;
    let mut number: Option<(&Expr, DataType)> = None;
    for value in values {
        let of = of(value, schema);
        if is_text(value, &of) {
            text.get_or_insert((value, of));
        } else if of.is_numeric() {
            number.get_or_insert((value, of));
        }
        if let (Some(text), Some(number)) = (&text, &number) {
            let (first, second) = if std::ptr::eq(text.0, value) {
                (number, text)
            } else {
                (text, number)
            };
            let (of_first, of_second) = (type_name(&first.1), type_name(&second.1));
            let message = format!("{what} types {of_first} and {of_second} cannot be matched");
            return Err(at(SqlError::new(SqlState::TYPE_MISMATCH, message), [first.0, second.0]).into());
        }
    }
    Ok(())
}

/// Whether one is a text and the other one a number.
fn is_unlike(one: (&Expr, &DataType), other: (&Expr, &DataType)) -> bool {
    is_text(one.0, one.1) && other.1.is_numeric() || one.1.is_numeric() && is_text(other.0, other.1)
}

/// Whether it is a text of a column, or made of others, and none in quotes.
fn is_text(value: &Expr, of: &DataType) -> bool {
    of.is_string() && !is_quoted(value)
}

/// Where the first column of these stands in the statement.
fn at(error: SqlError, values: [&Expr; 2]) -> SqlError {
    let span = values.into_iter().find_map(|value| value.spans()?.first());
    let error = error.hint(HINT);
    match span {
        Some(span) => error.at(place(span)),
        None => error,
    }
}

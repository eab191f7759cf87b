//! When a table is rewound to: a constant expression becomes a moment.
//!
//! A timestamp without a zone is UTC. In business time a date means the whole of that day.

use std::cell::RefCell;
use std::collections::BTreeMap;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast;
use headwater_records::Position;
use headwater_views::simplified;

use crate::syntax::Moment;
use crate::{SqlError, SqlState};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// A moment that a table is rewound to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum At {
    /// What had been appended by then, microseconds since 1970.
    System(i64),
    /// What is below the position.
    Position(Position),
    /// What was true by then, by the stream's `TIME` column.
    Business(BusinessMoment),
    /// What was known at the first (of the log) about what was true by the second.
    Both(Box<At>, BusinessMoment),
}

impl At {
    /// Both moments together, where one is the log's and one business time.
    pub(crate) fn and(self, other: At) -> At {
        match (self, other) {
            (At::Business(business), recorded) | (recorded, At::Business(business)) => {
                At::Both(Box::new(recorded), business)
            }
            (_, other) => other,
        }
    }

    /// The moment of the log, where there is one.
    pub(crate) fn recorded(&self) -> Option<&At> {
        match self {
            At::System(_) | At::Position(_) => Some(self),
            At::Both(recorded, _) => Some(recorded),
            At::Business(_) => None,
        }
    }

    /// The moment of business time, where there is one.
    pub(crate) fn business(&self) -> Option<BusinessMoment> {
        match self {
            At::Business(business) | At::Both(_, business) => Some(*business),
            At::System(_) | At::Position(_) => None,
        }
    }
}

/// A moment of business time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BusinessMoment {
    /// The end of a day, in days since 1970.
    Day(i32),
    /// Microseconds since 1970.
    Instant(i64),
}

impl BusinessMoment {
    /// The filter on a stream's `TIME` column that lets through what was true by the moment.
    pub(crate) fn holds(self, time: &str, data_type: DataType) -> Expr {
        let column = col(datafusion::common::Column::from_name(time));
        match (self, data_type) {
            (BusinessMoment::Day(day), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
                let next_us = (i64::from(day) + 1).saturating_mul(DAY_US);
                column.lt(lit(ScalarValue::TimestampMicrosecond(Some(next_us), zone)))
            }
            (BusinessMoment::Instant(moment_us), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
                column.lt_eq(lit(ScalarValue::TimestampMicrosecond(Some(moment_us), zone)))
            }
            (BusinessMoment::Day(day), _) => column.lt_eq(lit(ScalarValue::Date32(Some(day)))),
            (BusinessMoment::Instant(moment_us), _) => {
                let day = i32::try_from(moment_us.div_euclid(DAY_US)).unwrap_or(i32::MAX);
                column.lt_eq(lit(ScalarValue::Date32(Some(day))))
            }
        }
    }
}

/// Turns the constant expressions of a question into values.
pub(crate) struct Moments<'a> {
    state: &'a SessionState,
    /// The values of `$1`, `$2`, …; `None` where the question is only described.
    values: Option<&'a [ScalarValue]>,
    /// The types that parameters must have because a moment stands there.
    types: RefCell<BTreeMap<String, DataType>>,
}

impl<'a> Moments<'a> {
    /// For a question with these parameters.
    pub(crate) fn new(state: &'a SessionState, values: Option<&'a [ScalarValue]>) -> Moments<'a> {
        Moments {
            state,
            values,
            types: RefCell::default(),
        }
    }

    /// The types of the parameters that stand where a moment is expected.
    pub(crate) fn parameter_types(&self) -> BTreeMap<String, DataType> {
        self.types.borrow().clone()
    }

    /// The moment meant; `None` where it hangs on a parameter whose value is not known yet.
    pub(crate) fn at(
        &self,
        moment: &Moment,
        position: impl Fn(&str) -> Result<Position, SqlError>,
    ) -> Result<Option<At>> {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        match moment {
            Moment::SystemTime(expr) => {
                let Some(value) = self.evaluate(expr, &instant)? else {
                    return Ok(None);
                };
                Ok(Some(At::System(instant_us(&value)?)))
            }
            Moment::Position(expr) => {
                let Some(value) = self.evaluate(expr, &DataType::Utf8)? else {
                    return Ok(None);
                };
                let ScalarValue::Utf8(Some(text)) = value.cast_to(&DataType::Utf8)? else {
                    return Err(missing().into());
                };
                Ok(Some(At::Position(position(&text)?)))
            }
            Moment::BusinessTime(expr) => {
                let Some(value) = self.evaluate(expr, &instant)? else {
                    return Ok(None);
                };
                Ok(Some(At::Business(business(&value)?)))
            }
        }
    }

    /// An expression without columns, worked out.
    pub(crate) fn constant(&self, expr: Expr) -> Result<Expr> {
        let expr = match self.values {
            Some(values) => substitute(expr, values)?,
            None => expr,
        };
        let context = SimplifyContext::builder()
            .with_config_options(std::sync::Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = simplifier.coerce(expr, &DFSchema::empty())?;
        simplified(&simplifier, expr)
    }

    /// What a function of numbers that is a table is called with, as a constant; NULL where it hangs on a parameter whose value is not known yet.
    pub(crate) fn argument(&self, expr: Expr) -> Result<Expr> {
        if self.is_open(&expr, &DataType::Int64)? {
            return Ok(lit(ScalarValue::Null));
        }
        let constant = self.constant(expr)?;
        // Numbers of all widths, and parameters whose type nobody said: the engine takes a BIGINT alone.
        let Expr::Literal(value, _) = &constant else {
            return Ok(constant);
        };
        let data_type = value.data_type();
        let is_narrow = data_type.is_integer() && data_type != DataType::Int64;
        match is_narrow || data_type.is_string() {
            true => Ok(lit(value.cast_to(&DataType::Int64)?)),
            false => Ok(constant),
        }
    }

    /// An expression with the values of its parameters; where these are not known yet, their types are noted and NULLs stand for them.
    pub(crate) fn bound(&self, expr: Expr) -> Result<Expr> {
        if let Some(values) = self.values {
            return substitute(expr, values);
        }
        let bound = expr.transform_up(|inner| {
            let Expr::Placeholder(Placeholder { id, field }) = &inner else {
                return Ok(Transformed::no(inner));
            };
            let data_type = field.as_ref().map_or(DataType::Utf8, |field| field.data_type().clone());
            self.types.borrow_mut().insert(id.clone(), data_type.clone());
            Ok(Transformed::yes(lit(ScalarValue::try_from(&data_type)?)))
        })?;
        Ok(bound.data)
    }

    /// The value of an expression where one of this type is expected; `None` where it hangs on a parameter whose value is not known yet.
    pub(crate) fn value(&self, expr: Expr, expected: &DataType) -> Result<Option<ScalarValue>> {
        if self.is_open(&expr, expected)? {
            return Ok(None);
        }
        match self.constant(expr)? {
            Expr::Literal(value, _) => Ok(Some(value)),
            other => {
                let message = format!("a constant is needed here, and {other} is none");
                let hint = "write a value, or a parameter";
                Err(SqlError::new(SqlState::TYPE_MISMATCH, message).hint(hint).into())
            }
        }
    }

    /// Whether an expression hangs on parameters whose values are not known: they are noted with the type expected.
    fn is_open(&self, expr: &Expr, expected: &DataType) -> Result<bool> {
        let mut open = false;
        if self.values.is_none() {
            expr.apply(|inner| {
                if let Expr::Placeholder(placeholder) = inner {
                    self.types.borrow_mut().insert(placeholder.id.clone(), expected.clone());
                    open = true;
                }
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            })?;
        }
        Ok(open)
    }

    fn evaluate(&self, expr: &ast::Expr, expected: &DataType) -> Result<Option<ScalarValue>> {
        let mut is_constant = true;
        let _ = ast::visit_expressions(expr, |part: &ast::Expr| {
            is_constant &= !matches!(
                part,
                ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. }
            );
            std::ops::ControlFlow::<()>::Continue(())
        });
        if !is_constant {
            let message = "AS OF needs a constant moment, and a subquery is none";
            return Err(SqlError::new(SqlState::TYPE_MISMATCH, message)
                .hint("ask for the moment first, and give it as a parameter")
                .into());
        }
        let named = ast::ExprWithAlias {
            expr: expr.clone(),
            alias: None,
        };
        let planned = self
            .state
            .create_logical_expr_from_sql_expr(named, &DFSchema::empty())?;
        if self.is_open(&planned, expected)? {
            return Ok(None);
        }
        match self.constant(planned)? {
            Expr::Literal(value, _) if value.is_null() => Err(missing().into()),
            Expr::Literal(value, _) => Ok(Some(value)),
            other => {
                let message = format!("AS OF needs a constant moment, and {other} is none");
                let hint =
                    "write TIMESTAMP '2025-12-31 23:59:59', DATE '2025-12-31', POSITION 'stream/0@42', or a parameter";
                Err(SqlError::new(SqlState::TYPE_MISMATCH, message).hint(hint).into())
            }
        }
    }
}

/// Puts the values of parameters into an expression.
fn substitute(expr: Expr, values: &[ScalarValue]) -> Result<Expr> {
    let substituted = expr.transform_up(|inner| {
        let Expr::Placeholder(Placeholder { id, .. }) = &inner else {
            return Ok(Transformed::no(inner));
        };
        let index = id
            .trim_start_matches('$')
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        match index.and_then(|index| values.get(index)) {
            Some(value) => Ok(Transformed::yes(lit(value.clone()))),
            None => Err(SqlError::new(SqlState::PARAMETERS, format!("there is no value for parameter {id}")).into()),
        }
    })?;
    Ok(substituted.data)
}

fn missing() -> SqlError {
    SqlError::new(SqlState::TYPE_MISMATCH, "AS OF needs a moment, and this one is NULL")
        .hint("leave FOR … AS OF out to ask for now")
}

/// A moment in time, microseconds since 1970.
pub(super) fn instant_us(value: &ScalarValue) -> Result<i64> {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    match value.cast_to(&instant) {
        Ok(ScalarValue::TimestampMicrosecond(Some(moment_us), _)) => Ok(moment_us),
        _ => {
            let message = format!("{value} is no moment in time");
            Err(SqlError::new(SqlState::INVALID_TEXT, message)
                .hint("write it as TIMESTAMP '2025-12-31 23:59:59'")
                .into())
        }
    }
}

fn business(value: &ScalarValue) -> Result<BusinessMoment> {
    let day = match value {
        ScalarValue::Date32(Some(day)) => Some(*day),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))
            if text.trim().len() == "2025-12-31".len() =>
        {
            match value.cast_to(&DataType::Date32) {
                Ok(ScalarValue::Date32(day)) => day,
                _ => None,
            }
        }
        _ => None,
    };
    match day {
        Some(day) => Ok(BusinessMoment::Day(day)),
        None => Ok(BusinessMoment::Instant(instant_us(value)?)),
    }
}

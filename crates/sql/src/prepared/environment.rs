//! What the expressions of a prepared question see: one row, with a column for each parameter, for the time, and for each value that was looked up.
//!
//! ```text
//! $1 $2 … | now current_date current_time | ?0 ?1 …      and in a lookup, instead of the last: the columns of the row, row.account …
//! ```

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use headwater_views::simplified;

/// A physical expression.
pub(super) type Physical = Arc<dyn PhysicalExpr>;

/// The functions that say when a question began, by the names of their columns.
pub(super) const MOMENTS: [&str; 3] = ["now", "current_date", "current_time"];

/// The columns of the one row.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    fields: Vec<Field>,
}

impl Environment {
    /// One of these parameters.
    pub(super) fn new(types: &[DataType]) -> Environment {
        let mut environment = Environment::default();
        for (index, data_type) in types.iter().enumerate() {
            environment.add(format!("${}", index + 1), data_type.clone());
        }
        environment
    }

    /// One more column, where there is none of this name.
    pub(super) fn add(&mut self, name: String, data_type: DataType) {
        if !self.fields.iter().any(|field| *field.name() == name) {
            self.fields.push(Field::new(name, data_type, true));
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    /// An expression over this row, with whatever is constant in it worked out.
    pub(super) fn physical(&self, state: &SessionState, expr: Expr) -> Result<Physical> {
        let schema = Arc::new(DFSchema::try_from(self.schema())?);
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&schema))
            .with_config_options(Arc::clone(state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = simplified(&simplifier, simplifier.coerce(expr, &schema)?)?;
        state.create_physical_expr(expr, &schema)
    }
}

/// The expression with parameters and moments as columns; `other` says what becomes of columns and subqueries. `None`: it cannot be worked out over one row.
pub(super) fn placed(expr: &Expr, mut other: impl FnMut(&Expr) -> Result<Option<Expr>>) -> Result<Option<Expr>> {
    let mut fits = true;
    let placed = expr.clone().transform_up(|inner| {
        let found = match &inner {
            Expr::Placeholder(placeholder) => Some(column(&placeholder.id)),
            Expr::ScalarFunction(function) if is_moment(function.name()) => Some(column(function.name())),
            Expr::Column(_) | Expr::ScalarSubquery(_) | Expr::Exists(_) => match other(&inner)? {
                Some(found) => Some(found),
                None => {
                    fits = false;
                    None
                }
            },
            Expr::OuterReferenceColumn(..)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::Unnest(_)
            | Expr::GroupingSet(_)
            | Expr::ScalarVariable(..) => {
                fits = false;
                None
            }
            _ => None,
        };
        Ok(match found {
            Some(found) => Transformed::yes(found),
            None => Transformed::no(inner),
        })
    })?;
    Ok(fits.then_some(placed.data))
}

/// Whether a function says when the question began.
pub(super) fn is_moment(name: &str) -> bool {
    MOMENTS.contains(&name)
}

/// A column of the one row.
pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// One row of these columns.
pub(super) fn row(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// One value, as an array of a type.
pub(super) fn of_type(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    match array.data_type() == data_type {
        true => Ok(Arc::clone(array)),
        false => ScalarValue::try_from_array(array, 0)?.cast_to(data_type)?.to_array(),
    }
}

/// The value of an expression over one row.
pub(super) fn value(expr: &Physical, row: &RecordBatch) -> Result<ScalarValue> {
    match expr.evaluate(row)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
    }
}

/// Whether a condition over one row is true.
pub(super) fn holds(condition: &Physical, row: &RecordBatch) -> Result<bool> {
    Ok(matches!(value(condition, row)?, ScalarValue::Boolean(Some(true))))
}

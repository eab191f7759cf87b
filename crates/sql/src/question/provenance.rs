//! Where a column of a plan comes from, where it is handed on as it stands.

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

/// The scan that a column of a plan comes from unchanged, and its name there; `None` where it is worked out of others.
pub(crate) fn origin<'a>(plan: &'a LogicalPlan, column: &Column) -> Option<(&'a TableScan, String)> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let is_there = plan.schema().has_column(column);
            is_there.then(|| (scan, column.name.clone()))
        }
        LogicalPlan::Projection(projection) => {
            let place = projection.schema.maybe_index_of_column(column)?;
            match projection.expr[place].clone().unalias() {
                Expr::Column(below) => origin(&projection.input, &below),
                _ => None,
            }
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let place = alias.schema.maybe_index_of_column(column)?;
            let below = Column::from(alias.input.schema().qualified_field(place));
            origin(&alias.input, &below)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Distinct(_) => {
            let mut inputs = plan.inputs().into_iter();
            let input = inputs.find(|input| input.schema().has_column(column))?;
            origin(input, column)
        }
        _ => None,
    }
}

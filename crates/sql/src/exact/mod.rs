//! Arithmetic that is exact or an error, where it is asked for: what the query engine's own would wrap, cut off silently, or work out of rows that are kept from it.

mod alike;
mod arithmetic;
mod average;
mod beside;
mod date_bin;
mod date_trunc;
mod dates;
mod distinct;
mod division;
mod finite;
mod floats;
mod functions;
mod guarded;
mod intervals;
mod joined_order;
mod literal;
mod moments;
mod one_row;
mod regression;
mod room;
mod short;
mod spread;
mod sum;
mod wide;
mod zones;

pub(crate) use alike::{AlikeTogether, OF_ONE_TYPE};
pub(crate) use arithmetic::ExactArithmetic;
pub(crate) use average::exact_average;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
pub(crate) use date_bin::date_bin;
pub(crate) use date_trunc::date_trunc;
pub(crate) use dates::DatesWithHours;
pub(crate) use distinct::DistinctWithoutSums;
pub(crate) use division::RoundedDivision;
pub(crate) use floats::{ComparedAsFloats, FloatsAsWritten, floats};
pub(crate) use functions::checked_functions;
pub(crate) use guarded::GuardsFirst;
pub(crate) use intervals::{IntervalsByLength, IntervalsMultiplied};
pub(crate) use joined_order::OrderAboveOuterJoins;
pub(crate) use literal::DecimalLiterals;
pub(crate) use moments::{ComparedAsMoments, MomentTypes, in_microseconds};
pub(crate) use one_row::FiltersAboveOneRow;
pub(crate) use regression::exact_regression;
pub(crate) use room::RoomForWhole;
pub(crate) use spread::exact_spreads;
pub(crate) use sum::exact_sum;
pub(crate) use zones::timezone;

/// What divisions are called, the checked and the rounded one.
const DIVISION: &str = "/";

/// Rewrites each part of a plan's expressions, of those inside first; what they are called stays as it is.
pub(crate) fn rewrite(plan: LogicalPlan, of: impl Fn(Expr, &DFSchema) -> Transformed<Expr>) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|part| Ok(of(part, &schema)))?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(rewritten.data)
}

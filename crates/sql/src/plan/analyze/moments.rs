//! Texts and dates beside moments: compared with one, they are moments.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use super::beside;
use super::rewrite::rewrite;
use crate::exact::in_microseconds;

/// Makes moments of texts and dates that are compared with one; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct ComparedAsMoments;

impl AnalyzerRule for ComparedAsMoments {
    fn name(&self) -> &str {
        "compared_as_moments"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, compared)
    }
}

fn compared(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let of = |value: &Expr| value.get_type(schema).unwrap_or(DataType::Null);
    let moment_among = |values: &[Expr]| values.iter().find_map(|value| in_microseconds(&of(value)));
    let expr = match expr {
        Expr::Between(mut between) if of(&between.expr) == DataType::Date32 => {
            let low = in_microseconds(&of(&between.low));
            if let Some(moment) = low.or_else(|| in_microseconds(&of(&between.high))) {
                between.expr = Box::new(cast(*between.expr, moment));
            }
            Expr::Between(between)
        }
        Expr::InList(mut within) if of(&within.expr) == DataType::Date32 => {
            if let Some(moment) = moment_among(&within.list) {
                within.expr = Box::new(cast(*within.expr, moment));
            }
            Expr::InList(within)
        }
        other => other,
    };
    let compared = beside::compared(expr, schema, |of, with| {
        let moment = in_microseconds(with)?;
        match of {
            text if text.is_string() => Some(moment),
            DataType::Date32 | DataType::Date64 => Some(moment),
            DataType::Timestamp(TimeUnit::Microsecond, _) => None,
            other => in_microseconds(other),
        }
    });
    // What a date is compared in may have changed above.
    Transformed::yes(compared.data)
}

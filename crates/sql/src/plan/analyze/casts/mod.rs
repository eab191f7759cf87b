//! Casts that mean what PostgreSQL's do, where the query engine's own mean something else: numbers are rounded to whole ones and not cut off, and a text
//! becomes the bytes, the number or the moment that it writes.

mod bytes;
mod texts;
mod whole;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;

use crate::plan::analyze::rewrite::rewrite;

/// Puts functions into casts that are written so; runs before types are coerced, as what the engine casts for its own functions is its own affair.
#[derive(Debug)]
pub(crate) struct WrittenCasts;

impl AnalyzerRule for WrittenCasts {
    fn name(&self) -> &str {
        "written_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, |expr, schema| {
            let written = bytes::written(expr, schema);
            match written.transformed {
                true => written,
                false => texts::readable(written.data, schema),
            }
        })
    }
}

/// Rounds what is cast to a whole number; runs after types were coerced, as only then all of them are known.
#[derive(Debug)]
pub(crate) struct RoundedCasts;

impl AnalyzerRule for RoundedCasts {
    fn name(&self) -> &str {
        "rounded_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, whole::rounded)
    }
}

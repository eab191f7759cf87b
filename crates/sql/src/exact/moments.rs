//! Moments have microseconds, as columns have them: the query engine's own have nanoseconds unless told, which end in 2262 and know no `9999-12-31`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{self, TimezoneInfo};

/// What `TIMESTAMP` and `TIMESTAMPTZ` are.
#[derive(Debug)]
pub(crate) struct MomentTypes;

impl TypePlanner for MomentTypes {
    fn plan_type_field(&self, written: &ast::DataType) -> Result<Option<FieldRef>> {
        let ast::DataType::Timestamp(None, zone) = written else {
            return Ok(None);
        };
        let has_zone = matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, has_zone.then(|| "+00:00".into()));
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// Makes a moment of a text that is compared with one; runs before types are coerced.
#[derive(Debug)]
pub(crate) struct ComparedAsMoments;

impl AnalyzerRule for ComparedAsMoments {
    fn name(&self) -> &str {
        "compared_as_moments"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        super::rewrite(plan, compared)
    }
}

fn compared(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    super::beside::compared(expr, schema, |of, with| match with {
        DataType::Timestamp(..) if of.is_string() => Some(with.clone()),
        _ => None,
    })
}

//! Moments have microseconds, as columns have them: the query engine's own have nanoseconds unless told, which end in 2262 and know no `9999-12-31`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
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

/// The type of moments, where it is one, with the digits that columns have.
pub(crate) fn in_microseconds(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        _ => None,
    }
}

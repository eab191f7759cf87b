//! Values that are assigned to columns of moments, or moments to others: by the clock of the session.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};

use super::SessionZone;
use super::texts::{shown, texts_in};
use crate::{SqlError, SqlState};

/// The arrays of columns as they are assigned in UTC; nothing changes where that is the session's zone.
pub(crate) fn in_utc(
    arrays: &mut [Option<ArrayRef>],
    schema: &Schema,
    zone: Option<&SessionZone>,
) -> Result<(), SqlError> {
    let Some(zone) = zone else { return Ok(()) };
    for (array, field) in arrays.iter_mut().zip(schema.fields()) {
        if let Some(array) = array {
            *array = one(array, field.data_type(), zone)?;
        }
    }
    Ok(())
}

fn one(array: &ArrayRef, wanted: &DataType, zone: &SessionZone) -> Result<ArrayRef, SqlError> {
    let is_moment = |of: &DataType| matches!(of, DataType::Timestamp(_, Some(_)));
    let clock = DataType::Timestamp(TimeUnit::Microsecond, None);
    let given = array.data_type();
    let moved = |of: ArrayRef, there: &dyn Fn(i64) -> Option<i64>| -> Result<TimestampMicrosecondArray, SqlError> {
        let of = of.as_primitive::<TimestampMicrosecondType>();
        let beyond = || SqlError::new(SqlState("22008"), "timestamp out of range");
        let each = of
            .iter()
            .map(|at| at.map(|at| there(at).ok_or_else(beyond)).transpose());
        each.collect::<Result<_, _>>()
    };
    if is_moment(wanted) && given.is_string() {
        return Ok(texts_in(array, zone)?);
    }
    if is_moment(wanted) && matches!(given, DataType::Timestamp(_, None) | DataType::Date32) {
        let at = cast(array, &clock).map_err(datafusion::common::DataFusionError::from)?;
        let moments = moved(at, &|at| zone.zone().moment(at))?;
        return Ok(Arc::new(moments.with_timezone("+00:00")));
    }
    if is_moment(given) && *wanted == DataType::Utf8 {
        return Ok(shown(array, zone)?);
    }
    if is_moment(given) && matches!(wanted, DataType::Timestamp(_, None) | DataType::Date32) {
        let at = cast(array, &clock).map_err(datafusion::common::DataFusionError::from)?;
        return Ok(Arc::new(moved(at, &|at| zone.zone().shown(at))?));
    }
    Ok(Arc::clone(array))
}

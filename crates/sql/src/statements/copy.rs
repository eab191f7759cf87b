//! COPY stream FROM STDIN: the rows that a client sends become events, all of them in one append or none.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::FieldRef;
use headwater_records::Position;

use super::insert::{append, check_bytes, into, targets};
use crate::encode::EventEncoder;
use crate::inner::Inner;
use crate::limits::INSERT_ROWS_MAX;
use crate::syntax::CopyInto;
use crate::{Session, SqlError, SqlState, session_zone};

/// The columns that each row has a value for.
pub(crate) fn columns(inner: &Inner, copy: &CopyInto) -> Result<Vec<FieldRef>, SqlError> {
    let definition = into(inner, &copy.stream.value)?;
    let encoder = EventEncoder::new(&definition, inner.catalog.schemas())?;
    let schema = encoder.schema();
    let targets = targets(&encoder, &copy.stream.value, &copy.columns)?;
    let fields = targets.iter().filter_map(|target| schema.fields().get(*target));
    Ok(fields.cloned().collect())
}

/// Appends rows, given column by column: as texts, or of the columns' types.
pub(crate) async fn copy_in(
    inner: &Inner,
    session: &Session,
    copy: &CopyInto,
    columns: &[ArrayRef],
) -> Result<(usize, Option<Position>), SqlError> {
    let definition = into(inner, &copy.stream.value)?;
    let encoder = EventEncoder::new(&definition, inner.catalog.schemas())?;
    let targets = targets(&encoder, &copy.stream.value, &copy.columns)?;
    let count = columns.first().map_or(0, |column| column.len());
    if count > INSERT_ROWS_MAX {
        let message = format!("one COPY takes at most {INSERT_ROWS_MAX} rows, and nothing of this one was appended");
        return Err(SqlError::new(SqlState::TOO_LARGE, message).hint("split it"));
    }
    if count == 0 {
        return Ok((0, None));
    }
    let mut arrays: Vec<Option<ArrayRef>> = vec![None; encoder.schema().fields().len()];
    for (target, column) in targets.iter().zip(columns) {
        if let Some(slot) = arrays.get_mut(*target) {
            *slot = Some(Arc::clone(column));
        }
    }
    session_zone::in_utc(&mut arrays, &encoder.schema(), session.zone.as_ref())?;
    let now_ms = inner.log.now_us() / 1_000;
    let events = encoder.encode(&encoder.assign(count, &arrays)?, now_ms)?;
    check_bytes(&events)?;
    let landed = append(inner, session, &definition, events, None).await?;
    Ok((count, Some(landed.position())))
}

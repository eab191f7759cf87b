//! Texts that become numbers, dates, moments and intervals, as the query engine reads them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

use super::{interval_text, moment_text, number_text};

/// Writes a text as the engine reads it; `None`: it is written so.
type Written = fn(&str) -> Option<String>;

/// What writes texts that are to be of a type; `None`: the engine reads them as they are.
fn writer(to: &DataType) -> Option<Written> {
    match to {
        DataType::Decimal128(..) | DataType::Decimal256(..) => Some(number_text::plain),
        DataType::Timestamp(_, None) => Some(moment_text::shown),
        DataType::Timestamp(..) => Some(moment_text::moment),
        DataType::Date32 => Some(moment_text::date),
        DataType::Interval(_) => Some(interval_text::written),
        _ => None,
    }
}

/// Whether texts that are to be of a type are written otherwise.
pub(crate) fn is_written_otherwise(to: &DataType) -> bool {
    writer(to).is_some()
}

/// Texts that are to be of a type; most of them stand as they are.
pub(crate) fn as_read(texts: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let texts = cast(texts, &DataType::Utf8)?;
    let Some(written) = writer(to) else {
        return Ok(texts);
    };
    let mut read: Vec<Option<String>> = Vec::new();
    for (row, text) in texts.as_string::<i32>().iter().enumerate() {
        let written = text.and_then(written);
        if written.is_some() && read.is_empty() {
            let before = texts.as_string::<i32>().iter().take(row);
            read.extend(before.map(|text| text.map(str::to_owned)));
        }
        if written.is_some() || !read.is_empty() {
            read.push(written.or_else(|| text.map(str::to_owned)));
        }
    }
    Ok(match read.is_empty() {
        true => texts,
        false => Arc::new(StringArray::from(read)),
    })
}

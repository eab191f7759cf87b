//! What a row may not say in a column that a table of column files is partitioned by.
//!
//! A Delta table writes the value of such a column into the names of folders and commits. There the empty text stands for NULL, and so does the name that
//! Hive gave its folder: whoever reads them back cannot tell them apart; and a folder's name has an end. So an event that has such a text there is one that the view cannot take, and is parked, with
//! the way out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Volatility, cast, col, create_udf};
use datafusion::prelude::Expr;
use headwater_catalog::Shape;

use super::Query;

/// The longest name of a folder, in bytes: what file systems take.
const FOLDER_BYTES_MAX: usize = 255;

/// How a folder's name says NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// Why a table cannot be partitioned by a text in a column, and what to do; `None` where it can.
pub fn unfit_partition(column: &str, text: &str) -> Option<String> {
    if text.is_empty() || text == NULL_FOLDER {
        let what = if text.is_empty() { "the empty text" } else { NULL_FOLDER };
        return Some(format!(
            "'{column}' is {what}, which a table PARTITIONED BY it cannot tell from NULL: say nullif({column}, '{text}') AS {column} in the view's query, \
             or another text for it"
        ));
    }
    let bytes = encoded_bytes(column) + 1 + encoded_bytes(text);
    (bytes > FOLDER_BYTES_MAX).then(|| {
        format!(
            "'{column}' is too long for a table PARTITIONED BY it: its folder's name would have {bytes} bytes, more than {FOLDER_BYTES_MAX}; say \
             left({column}, …) AS {column} in the view's query, or partition by another column"
        )
    })
}

/// Whether a table can be partitioned by what stands in a column of a row.
pub(crate) fn fits_partition(column: &str) -> Expr {
    let name = column.to_owned();
    let fits = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts = arrays.iter().flat_map(|array| array.as_string::<i32>().iter());
        let fits = texts.map(|text| Some(text.is_none_or(|text| unfit_partition(&name, text).is_none())));
        Ok(ColumnarValue::Array(Arc::new(fits.collect::<BooleanArray>())))
    };
    let types = vec![DataType::Utf8];
    let function = create_udf(
        "fits_partition",
        types,
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(fits),
    );
    function.call(vec![cast(col(Column::from_name(column)), DataType::Utf8)])
}

/// How many bytes a text has in a folder's name, where all but letters, digits and a few signs is percent-encoded.
fn encoded_bytes(text: &str) -> usize {
    let bytes = text.bytes();
    let width = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => 1,
        byte if byte.is_ascii_alphanumeric() => 1,
        _ => 3,
    };
    bytes.map(width).sum()
}

impl Query {
    /// Lets the columns that a shape is partitioned by have no text that cannot make a folder, as far as the events say what stands in them.
    pub(crate) fn partition_by(&mut self, shape: Option<&Shape>) {
        let Some(Shape::Columnar { partitioned_by, .. }) = shape else {
            return;
        };
        for name in partitioned_by {
            let Ok(column) = self.output.index_of(name) else {
                continue;
            };
            let is_told = self.is_per_event || self.key_columns.contains(&column);
            if is_told && is_text(self.output.field(column).data_type()) {
                self.partitions.push(column);
            }
        }
    }

    /// The names of these columns.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &str> {
        let columns = self.partitions.iter();
        columns.map(|column| self.output.field(*column).name().as_str())
    }

    /// Refuses rows with a text that makes no folder where one must. `values` gives the values of a column of the view's rows.
    pub(super) fn check_partitions<'a>(&self, values: impl Fn(usize) -> Option<&'a ArrayRef>) -> Result<()> {
        for column in &self.partitions {
            let name = self.output.field(*column).name();
            if let Some(why) = values(*column).and_then(|values| first_unfit(name, values)) {
                return Err(DataFusionError::Execution(why));
            }
        }
        Ok(())
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn first_unfit(column: &str, values: &ArrayRef) -> Option<String> {
    let unfit = |text: &str| unfit_partition(column, text);
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().iter().flatten().find_map(unfit),
        DataType::LargeUtf8 => values.as_string::<i64>().iter().flatten().find_map(unfit),
        DataType::Utf8View => values.as_string_view().iter().flatten().find_map(unfit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, LargeStringArray, StringArray, StringViewArray};

    use super::*;

    #[test]
    fn texts_that_make_no_folder_are_told() {
        let check = |texts: Vec<Option<&str>>, expected: Option<&str>| {
            let arrays: [ArrayRef; 3] = [
                Arc::new(StringArray::from(texts.clone())),
                Arc::new(LargeStringArray::from(texts.clone())),
                Arc::new(StringViewArray::from(texts.clone())),
            ];
            for array in &arrays {
                let found = first_unfit("k", array);
                let is_so = match (&found, expected) {
                    (Some(found), Some(expected)) => found.contains(expected),
                    (None, None) => true,
                    _ => false,
                };
                assert!(is_so, "{texts:?} as {}: {found:?}", array.data_type());
                assert!(is_text(array.data_type()));
            }
        };
        let (long, accents) = ("x".repeat(253), "é".repeat(42));
        check(vec![], None);
        check(vec![None, Some("a"), Some(" ")], None);
        check(vec![None, Some("a"), Some("")], Some("the empty text"));
        check(
            vec![Some("__HIVE_DEFAULT_PARTITION__")],
            Some("nullif(k, '__HIVE_DEFAULT_PARTITION__')"),
        );
        check(vec![Some("__hive_default_partition__")], None);
        check(vec![Some(&long), Some(&accents)], None);
        check(vec![Some(&format!("{long}x"))], Some("would have 256 bytes"));
        check(vec![Some(&format!("{accents}é"))], Some("would have 260 bytes"));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0]));
        assert!(first_unfit("k", &numbers).is_none() && !is_text(numbers.data_type()));
    }
}

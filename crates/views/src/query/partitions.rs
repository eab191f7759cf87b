//! What a row may not say in a column that a table of column files is partitioned by.
//!
//! A Delta table writes the value of such a column into the names of folders and commits, and there the empty text stands for NULL: whoever reads it
//! back cannot tell the two apart. So an event that has the empty text there is one that the view cannot take, and is parked, with the way out.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use headwater_catalog::Shape;

use super::Query;

impl Query {
    /// Lets the columns that a shape is partitioned by be no empty text, as far as the events say what stands in them.
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

    /// Refuses rows with the empty text where none may be. `values` gives the values of a column of the view's rows.
    pub(super) fn check_partitions<'a>(&self, values: impl Fn(usize) -> Option<&'a ArrayRef>) -> Result<()> {
        for column in &self.partitions {
            if values(*column).is_some_and(has_empty) {
                let name = self.output.field(*column).name();
                return Err(DataFusionError::Execution(format!(
                    "'{name}' is the empty text, which a table PARTITIONED BY it cannot tell from NULL: say nullif({name}, '') AS {name} in the \
                     view's query, or another text for it"
                )));
            }
        }
        Ok(())
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn has_empty(values: &ArrayRef) -> bool {
    let is_empty = |value: Option<&str>| value.is_some_and(str::is_empty);
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().iter().any(is_empty),
        DataType::LargeUtf8 => values.as_string::<i64>().iter().any(is_empty),
        DataType::Utf8View => values.as_string_view().iter().any(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, LargeStringArray, StringArray, StringViewArray};

    use super::*;

    #[test]
    fn only_the_empty_text_is_one() {
        let check = |texts: Vec<Option<&str>>, expected: bool| {
            let arrays: [ArrayRef; 3] = [
                Arc::new(StringArray::from(texts.clone())),
                Arc::new(LargeStringArray::from(texts.clone())),
                Arc::new(StringViewArray::from(texts.clone())),
            ];
            for array in &arrays {
                assert_eq!(has_empty(array), expected, "{texts:?} as {}", array.data_type());
                assert!(is_text(array.data_type()));
            }
        };
        check(vec![], false);
        check(vec![None, Some("a"), Some(" ")], false);
        check(vec![None, Some("a"), Some("")], true);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0]));
        assert!(!has_empty(&numbers) && !is_text(numbers.data_type()));
    }
}

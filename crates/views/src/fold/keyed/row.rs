//! The columns of a row besides its key, packed into one value and taken out of it again.

use arrow::array::{Array, AsArray, make_array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

/// The columns as one value. A row without any is there or not there, and nothing else.
pub(super) fn packed(columns: Vec<(&str, Expr)>) -> Expr {
    match columns.is_empty() {
        true => lit(true),
        false => named_struct(
            columns
                .into_iter()
                .flat_map(|(name, column)| [lit(name), column])
                .collect(),
        ),
    }
}

/// One column of a packed row. The engine's own `get_field` would be moved to where the row is packed, across names that are not told apart there.
pub(super) fn column(row: Expr, index: usize) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let name = format!("_headwater_column_{index}");
    ScalarUDF::from(ColumnFunction { name, index, signature }).call(vec![row])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ColumnFunction {
    name: String,
    index: usize,
    signature: Signature,
}

impl ScalarUDFImpl for ColumnFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Struct(fields)] if self.index < fields.len() => Ok(fields[self.index].data_type().clone()),
            _ => Err(DataFusionError::Internal(format!("{} is asked of no row", self.name))),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let row = arguments
            .args
            .into_iter()
            .next()
            .map(|row| row.into_array(arguments.number_rows));
        let row = row
            .transpose()?
            .ok_or_else(|| DataFusionError::Internal(format!("{} is asked of nothing", self.name)))?;
        let rows = row.as_struct();
        let column = rows.column(self.index);
        if column.data_type().is_null() {
            return Ok(ColumnarValue::Array(column.clone()));
        }
        // Where there is no row, there is no value either.
        let nulls = arrow::buffer::NullBuffer::union(column.nulls(), rows.nulls());
        let data = column.to_data().into_builder().nulls(nulls).build()?;
        Ok(ColumnarValue::Array(make_array(data)))
    }
}

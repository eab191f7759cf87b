//! A text cast to BYTEA: `\x` and hexadecimal digits, or the text's own bytes.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::encode::bytes_written;
use crate::{SqlError, SqlState};

static WRITTEN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Written {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// A cast of a text to bytes, as the bytes that it writes.
pub(super) fn written(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_text = |expr: &Expr| match expr.get_type(schema) {
        Ok(data_type) => matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        Err(_) => false,
    };
    match expr {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::Binary && is_text(&expr) => {
            Transformed::yes(WRITTEN.call(vec![*expr]))
        }
        other => Transformed::no(other),
    }
}

/// The bytes that a text writes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    signature: Signature,
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        "_headwater_bytes_written"
    }

    // Columns keep the names that the cast gave them.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [text] => Ok(text.schema_name().to_string()),
            _ => plan_err!("one text writes bytes"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(texts)] => Ok(ColumnarValue::Array(bytes(texts)?)),
            [ColumnarValue::Scalar(text)] => {
                let bytes = bytes(&text.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&bytes, 0)?))
            }
            _ => plan_err!("one text writes bytes"),
        }
    }
}

fn bytes(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(texts.len());
    for text in texts.as_string::<i32>() {
        values.push(text.map(read).transpose()?);
    }
    Ok(Arc::new(BinaryArray::from_iter(values)))
}

fn read(text: &str) -> Result<Vec<u8>, SqlError> {
    bytes_written(text).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let message = format!("invalid input syntax for type BYTEA: \"{shown}\"");
        let hint = "write two hexadecimal digits for each byte behind \\x";
        SqlError::new(SqlState::INVALID_TEXT, message).hint(hint)
    })
}

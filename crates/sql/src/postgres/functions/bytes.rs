//! `length` and `octet_length` of bytes: how many there are. (The query engine's own take texts alone.)

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions::{string, unicode};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Both functions, under their own names.
pub(crate) fn lengths() -> [ScalarUDF; 2] {
    [
        ("length", unicode::character_length()),
        ("octet_length", string::octet_length()),
    ]
    .map(|(name, engines)| {
        ScalarUDF::from(Length {
            name,
            engines,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    })
}

/// Over the engine's own, for texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    name: &'static str,
    engines: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of] = types else {
            return plan_err!("{} takes one value", self.name);
        };
        Ok(vec![match of {
            bytes if bytes.is_binary() => DataType::Binary,
            text if text.is_string() => text.clone(),
            nested if nested.is_nested() => return plan_err!("{} takes a text or bytes, not {nested}", self.name),
            _ => DataType::Utf8,
        }])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Field::new(self.name, DataType::Int32, nullable).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [of] = args.args.as_slice() else {
            return plan_err!("{} takes one value", self.name);
        };
        if of.data_type() != DataType::Binary {
            let counted = self.engines.invoke_with_args(args)?;
            return counted.cast_to(&DataType::Int32, None);
        }
        match of {
            ColumnarValue::Scalar(one) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &counted(&one.to_array()?)?,
                0,
            )?)),
            ColumnarValue::Array(all) => Ok(ColumnarValue::Array(counted(all)?)),
        }
    }
}

fn counted(bytes: &ArrayRef) -> Result<ArrayRef> {
    let bytes = cast(bytes, &DataType::Binary)?;
    let counted: Int32Array = bytes
        .as_binary::<i32>()
        .iter()
        .map(|bytes| bytes.map(|bytes| bytes.len() as i32))
        .collect();
    Ok(Arc::new(counted))
}

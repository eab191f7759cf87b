//! Functions of one value that stand in a plan where a cast was: an array in, an array out.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What a function makes of its values.
type Answers = fn(&ArrayRef) -> Result<ArrayRef>;

/// The call of a function by its name, the type of its answers, and what makes them.
pub(crate) fn call(name: &'static str, answer: DataType, answers: Answers, value: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let function = OfOne {
        name,
        answer,
        answers,
        signature,
    };
    ScalarUDF::from(function).call(vec![value])
}

/// An answer for each value of one argument. Two of one name are the same function.
#[derive(Debug)]
struct OfOne {
    name: &'static str,
    answer: DataType,
    answers: Answers,
    signature: Signature,
}

impl PartialEq for OfOne {
    fn eq(&self, other: &OfOne) -> bool {
        self.name == other.name
    }
}

impl Eq for OfOne {}

impl std::hash::Hash for OfOne {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for OfOne {
    fn name(&self) -> &str {
        self.name
    }

    // As a cast, it leaves a column its name.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [value] => Ok(value.schema_name().to_string()),
            _ => plan_err!("'{}' is of one value", self.name),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.answer.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array((self.answers)(values)?)),
            [ColumnarValue::Scalar(value)] => {
                let answer = (self.answers)(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?))
            }
            _ => plan_err!("'{}' is of one value", self.name),
        }
    }
}

//! The engine's functions of floats, which end with an error where PostgreSQL's do: the logarithm of zero (2201E), a power that is no number (2201F), a result
//! that is too large, or an argument that the function does not have (22003). The engine's own give an infinity or NaN.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

use super::finite::{as_floats, first};
use crate::{SqlError, SqlState};

/// invalid_argument_for_logarithm
const INVALID_LOGARITHM: SqlState = SqlState("2201E");
/// invalid_argument_for_power_function
const INVALID_POWER: SqlState = SqlState("2201F");

/// Those that may give an infinity or NaN for numbers.
const NAMES: [&str; 13] = [
    "ln", "log", "log2", "log10", "power", "exp", "acos", "asin", "acosh", "atanh", "cosh", "sinh", "sqrt",
];

/// The functions that take the place of the engine's own.
pub(crate) fn checked_functions(state: &SessionState) -> Vec<ScalarUDF> {
    let known = state.scalar_functions();
    let inner = NAMES.iter().filter_map(|name| known.get(*name));
    inner
        .map(|inner| {
            ScalarUDF::from(Checked {
                inner: Arc::clone(inner),
            })
        })
        .collect()
}

/// A function of the engine's, whose answers are looked at.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Field::new(self.name(), field.data_type().clone(), field.is_nullable()).into())
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (arguments, rows) = (args.args.clone(), args.number_rows);
        let answer = self.inner.invoke_with_args(args)?;
        let answers = match &answer {
            ColumnarValue::Array(answers) => Arc::clone(answers),
            ColumnarValue::Scalar(answer) => answer.to_array()?,
        };
        if let Some(row) = first(&answers, |value| !value.is_finite())? {
            let arguments = arguments.iter().map(|argument| argument.to_array(rows.max(1)));
            let arguments: Vec<ArrayRef> = arguments.collect::<Result<_>>()?;
            check(self.name(), &answers, &arguments, row)?;
        }
        Ok(answer)
    }
}

/// Looks at the rows from one on: numbers that did not give one are an error.
fn check(name: &str, answers: &ArrayRef, arguments: &[ArrayRef], row: usize) -> Result<()> {
    let answers = as_floats(answers)?;
    let answers = answers.as_primitive::<Float64Type>();
    let arguments = arguments.iter().map(|argument| as_floats(argument));
    let arguments: Vec<ArrayRef> = arguments.collect::<Result<_, _>>()?;
    for row in row..answers.len() {
        if answers.is_null(row) || answers.value(row).is_finite() {
            continue;
        }
        let given: Vec<f64> = arguments
            .iter()
            .map(|argument| argument.as_primitive::<Float64Type>().value(row))
            .collect();
        if given.iter().all(|value| value.is_finite()) {
            return Err(DataFusionError::External(Box::new(refused(
                name,
                &given,
                answers.value(row),
            ))));
        }
    }
    Ok(())
}

/// Why numbers have no answer.
fn refused(name: &str, given: &[f64], answer: f64) -> SqlError {
    let (state, message) = match (name, given) {
        ("ln" | "log" | "log2" | "log10", [.., 0.0]) => (INVALID_LOGARITHM, "cannot take logarithm of zero"),
        ("ln" | "log" | "log2" | "log10", _) => (INVALID_LOGARITHM, "cannot take logarithm of a negative number"),
        ("power", [0.0, _]) => (INVALID_POWER, "zero raised to a negative power is undefined"),
        ("power", _) if answer.is_nan() => (
            INVALID_POWER,
            "a negative number raised to a non-integer power yields a complex result",
        ),
        ("sqrt", _) => (INVALID_POWER, "cannot take square root of a negative number"),
        _ if answer.is_nan() => (SqlState::OUT_OF_RANGE, "input is out of range"),
        ("atanh", _) => (SqlState::OUT_OF_RANGE, "input is out of range"),
        _ => (SqlState::OUT_OF_RANGE, "value out of range: overflow"),
    };
    SqlError::new(state, message)
}

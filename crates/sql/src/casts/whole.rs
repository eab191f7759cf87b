//! A number cast to a whole one: decimals round half away from zero, floats half to even.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

static ROUNDED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Rounded {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// A cast to a whole number, of the rounded number.
pub(super) fn rounded(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) if is_cut_off(&expr, &field, schema) => {
            let expr = Box::new(ROUNDED.call(vec![*expr]));
            Transformed::yes(Expr::Cast(Cast { expr, field }))
        }
        Expr::TryCast(TryCast { expr, field }) if is_cut_off(&expr, &field, schema) => {
            let expr = Box::new(ROUNDED.call(vec![*expr]));
            Transformed::yes(Expr::TryCast(TryCast { expr, field }))
        }
        other => Transformed::no(other),
    }
}

/// Whether a cast would cut something off. Types are coerced more than once on a plan's way: what is rounded stays so.
fn is_cut_off(expr: &Expr, to: &FieldRef, schema: &DFSchema) -> bool {
    let is_rounded = matches!(expr, Expr::ScalarFunction(function) if function.func == *ROUNDED);
    let has_fractions = |from: DataType| match from {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => scale > 0,
        DataType::Float32 | DataType::Float64 => true,
        _ => false,
    };
    to.data_type().is_integer() && !is_rounded && expr.get_type(schema).is_ok_and(has_fractions)
}

/// A number without what is behind the point.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    signature: Signature,
}

impl ScalarUDFImpl for Rounded {
    fn name(&self) -> &str {
        "_headwater_rounded"
    }

    // Columns keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [number] => Ok(number.schema_name().to_string()),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number] => Ok(without_scale(number)),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [number] => Ok(Field::new(self.name(), without_scale(number.data_type()), number.is_nullable()).into()),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(numbers)] => Ok(ColumnarValue::Array(without_fractions(numbers)?)),
            [ColumnarValue::Scalar(number)] => {
                let rounded = without_fractions(&number.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?))
            }
            _ => plan_err!("one number is rounded"),
        }
    }
}

fn without_scale(number: &DataType) -> DataType {
    match number {
        DataType::Decimal128(precision, scale) if *scale > 0 => DataType::Decimal128(*precision, 0),
        DataType::Decimal256(precision, scale) if *scale > 0 => DataType::Decimal256(*precision, 0),
        other => other.clone(),
    }
}

fn without_fractions(numbers: &ArrayRef) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        DataType::Float32 => {
            let floats = numbers.as_primitive::<Float32Type>();
            Arc::new(floats.unary::<_, Float32Type>(f32::round_ties_even))
        }
        DataType::Float64 => {
            let floats = numbers.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(f64::round_ties_even))
        }
        decimals => cast(numbers, &without_scale(decimals))?,
    })
}

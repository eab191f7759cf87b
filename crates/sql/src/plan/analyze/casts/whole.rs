//! A number cast to one with fewer digits behind the point, or none: decimals round half away from zero, floats half to even.
//!
//! The query engine leaves such a cast out of comparisons (`d::integer = 3` would be asked as `d = 3.00`); what is rounded by a function of its own is not.
//! `round(x)` of a float is the same function, where the engine rounds away from zero.

use std::sync::Arc;

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

const NAME: &str = "_headwater_rounded";

/// A cast to fewer digits, of the rounded number.
pub(super) fn rounded(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            let (expr, changed) = with_digits(expr, &field, schema);
            Transformed::new_transformed(Expr::Cast(Cast { expr, field }), changed)
        }
        Expr::TryCast(TryCast { expr, field }) => {
            let (expr, changed) = with_digits(expr, &field, schema);
            Transformed::new_transformed(Expr::TryCast(TryCast { expr, field }), changed)
        }
        Expr::ScalarFunction(function) if function.name() == "round" && is_float(&function.args, schema) => {
            Transformed::yes(nearest(function.args, 0, true))
        }
        other => Transformed::no(other),
    }
}

/// Whether `round` has a float for its only argument; to some digits it is rounded as decimals are.
fn is_float(arguments: &[Expr], schema: &DFSchema) -> bool {
    match arguments {
        [number] => number.get_type(schema).is_ok_and(|data_type| data_type.is_floating()),
        _ => false,
    }
}

fn nearest(arguments: Vec<Expr>, scale: i8, is_written: bool) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let function = Rounded {
        signature,
        scale,
        is_written,
    };
    ScalarUDF::from(function).call(arguments)
}

/// The number, rounded where the cast would cut something off.
fn with_digits(expr: Box<Expr>, to: &FieldRef, schema: &DFSchema) -> (Box<Expr>, bool) {
    match kept(&expr, to, schema) {
        Some(scale) => (Box::new(nearest(vec![*expr], scale, false)), true),
        None => (expr, false),
    }
}

/// How many digits behind the point a cast keeps, where it cuts others off. Types are coerced more than once on a plan's way: what is rounded stays so.
fn kept(expr: &Expr, to: &FieldRef, schema: &DFSchema) -> Option<i8> {
    if matches!(expr, Expr::ScalarFunction(function) if function.name() == NAME) {
        return None;
    }
    let kept = match to.data_type() {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        whole if whole.is_integer() => 0,
        _ => return None,
    };
    let is_cut_off = match expr.get_type(schema).ok()? {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => scale > kept,
        DataType::Float32 | DataType::Float64 => to.data_type().is_integer(),
        _ => false,
    };
    is_cut_off.then_some(kept)
}

/// A number with so many digits behind the point.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    signature: Signature,
    scale: i8,
    /// Whether it stands for `round(x)`, and not below a cast.
    is_written: bool,
}

impl ScalarUDFImpl for Rounded {
    fn name(&self) -> &str {
        NAME
    }

    // Columns keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [number] if self.is_written => Ok(format!("round({})", number.schema_name())),
            [number] => Ok(number.schema_name().to_string()),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [number] => Ok(with_scale(number, self.scale)),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [number] => Ok(Field::new(
                self.name(),
                with_scale(number.data_type(), self.scale),
                number.is_nullable(),
            )
            .into()),
            _ => plan_err!("one number is rounded"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(numbers)] => Ok(ColumnarValue::Array(of_digits(numbers, self.scale)?)),
            [ColumnarValue::Scalar(number)] => {
                let rounded = of_digits(&number.to_array()?, self.scale)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?))
            }
            _ => plan_err!("one number is rounded"),
        }
    }
}

fn with_scale(number: &DataType, kept: i8) -> DataType {
    match number {
        DataType::Decimal128(precision, scale) if *scale > kept => DataType::Decimal128(*precision, kept),
        DataType::Decimal256(precision, scale) if *scale > kept => DataType::Decimal256(*precision, kept),
        other => other.clone(),
    }
}

fn of_digits(numbers: &ArrayRef, scale: i8) -> Result<ArrayRef> {
    Ok(match numbers.data_type() {
        DataType::Float32 => {
            let floats = numbers.as_primitive::<Float32Type>();
            Arc::new(floats.unary::<_, Float32Type>(f32::round_ties_even))
        }
        DataType::Float64 => {
            let floats = numbers.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(f64::round_ties_even))
        }
        decimals => cast(numbers, &with_scale(decimals, scale))?,
    })
}

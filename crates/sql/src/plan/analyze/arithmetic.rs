//! `+`, `-`, `*` and `/` of integers and decimals that end with 22003 where the query engine would wrap around, or keep more digits than the type has.
//!
//! Once the types of a plan are settled, each such operation becomes a [`Checked`] of the same name, type and nullability: columns
//! keep their names, and a view's fold, a question and a constant all count alike. So do decimals that cannot leave their range, since they are counted sooner here
//! ([`crate::exact::short`]). Of floats that are numbers no operation makes an infinity, as in PostgreSQL. Operations of dates and intervals stay what they are.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::rewrite::rewrite;
use crate::exact::{finite, may_be_short, short};

/// Puts [`Checked`] in the place of operations that may leave their type's range; runs after types were coerced.
#[derive(Debug)]
pub(crate) struct ExactArithmetic;

impl AnalyzerRule for ExactArithmetic {
    fn name(&self) -> &str {
        "exact_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, check)
    }
}

fn check(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Transformed::no(expr);
    };
    let types = (left.get_type(schema), right.get_type(schema));
    let (Ok(left_type), Ok(right_type)) = types else {
        return Transformed::no(expr);
    };
    if !may_leave_its_range(*op, &left_type, &right_type) && !may_be_short(*op, &left_type, &right_type) {
        return Transformed::no(expr);
    }
    let function = ScalarUDF::from(Checked::new(*op));
    Transformed::yes(function.call(vec![left.as_ref().clone(), right.as_ref().clone()]))
}

/// Whether an operation of these types can come out wrong without an error. Of decimals only where the result has the most digits there are:
/// with fewer, the result's type has room for everything.
fn may_leave_its_range(operator: Operator, left: &DataType, right: &DataType) -> bool {
    let integers = left.is_integer() && right.is_integer();
    let floats = left.is_floating() && right.is_floating();
    match operator {
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide if floats => true,
        Operator::Plus | Operator::Minus | Operator::Multiply if integers => true,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide => {
            let result = BinaryTypeCoercer::new(left, &operator, right).get_result_type();
            result.is_ok_and(|result| digits_max(&result).is_some())
        }
        _ => false,
    }
}

/// The digits of a decimal that has as many as its width allows.
fn digits_max(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) => Some(DECIMAL128_MAX_PRECISION),
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, _) => Some(DECIMAL256_MAX_PRECISION),
        _ => None,
    }
}

/// One operation, checked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Operator,
    name: String,
    signature: Signature,
}

impl Checked {
    fn new(operator: Operator) -> Checked {
        Checked {
            operator,
            name: operator.to_string(),
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else {
            return plan_err!("'{}' has two sides", self.name);
        };
        Ok(format!(
            "{} {} {}",
            left.schema_name(),
            self.operator,
            right.schema_name()
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = types else {
            return plan_err!("'{}' has two sides", self.name);
        };
        BinaryTypeCoercer::new(left, &self.operator, right).get_result_type()
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Field::new(self.name(), self.return_type(&types)?, nullable).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return plan_err!("'{}' has two sides", self.name);
        };
        let kernel = match self.operator {
            Operator::Plus => numeric::add,
            Operator::Minus => numeric::sub,
            Operator::Multiply => numeric::mul,
            Operator::Divide => numeric::div,
            other => return plan_err!("'{other}' is no operation of numbers"),
        };
        apply(left, right, |l, r| {
            match short(self.operator, l, r, args.return_field.data_type()) {
                Some(result) => Ok(result),
                None => {
                    let result = within_digits(kernel(l, r)?)?;
                    finite(self.operator, l, r, &result)?;
                    Ok(result)
                }
            }
        })
    }
}

/// The bits of a decimal hold somewhat more than its digits: a value beyond those would be shown without its last ones.
fn within_digits(array: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let checked = match array.data_type() {
        DataType::Decimal128(precision, _) => array
            .as_primitive::<Decimal128Type>()
            .validate_decimal_precision(*precision),
        DataType::Decimal256(precision, _) => array
            .as_primitive::<Decimal256Type>()
            .validate_decimal_precision(*precision),
        _ => Ok(()),
    };
    let message = || format!("a number has more digits than {} holds", array.data_type());
    checked.map_err(|_| ArrowError::ArithmeticOverflow(message()))?;
    Ok(array)
}

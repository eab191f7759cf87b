//! `1 = ANY (ARRAY[2, NULL])` is NULL, and so is `1 > ANY (ARRAY[2, NULL])`: whether one of a list's values fits is not known where the list holds a NULL,
//! and no value that does.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    Case, ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;

/// Puts [`HasOrUnknown`] in the place of the engine's own function, and [`FalseOrUnknown`] beside its comparisons; runs after types were coerced.
#[derive(Debug)]
pub(crate) struct AnyOfLists;

impl AnalyzerRule for AnyOfLists {
    fn name(&self) -> &str {
        "any_of_lists"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, in_three_truths)
    }
}

fn in_three_truths(expr: Expr, _schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.name() == "array_has" && !func.inner().is::<HasOrUnknown>() =>
        {
            let function = ScalarUDF::from(HasOrUnknown { engines: func });
            Transformed::yes(function.call(args))
        }
        expr => match compared_with(&expr) {
            Some(list) => {
                let function = ScalarUDF::from(FalseOrUnknown {
                    signature: Signature::any(1, Volatility::Immutable),
                });
                let unknown = function.call(vec![list.clone()]);
                Transformed::yes(expr.or(unknown))
            }
            None => Transformed::no(expr),
        },
    }
}

/// The list that a value is compared with by `<>`, `<`, `<=`, `>` or `>= ANY`, as the engine plans it:
/// `CASE WHEN array_min(list) IS NOT NULL THEN … WHEN list IS NOT NULL THEN FALSE ELSE NULL END`.
fn compared_with(expr: &Expr) -> Option<&Expr> {
    let Expr::Case(Case {
        expr: None,
        when_then_expr,
        else_expr: Some(otherwise),
    }) = expr
    else {
        return None;
    };
    let [(bound, _), (there, none)] = when_then_expr.as_slice() else {
        return None;
    };
    let (Expr::IsNotNull(bound), Expr::IsNotNull(list)) = (bound.as_ref(), there.as_ref()) else {
        return None;
    };
    let is_false = matches!(none.as_ref(), Expr::Literal(ScalarValue::Boolean(Some(false)), _));
    let is_unknown = matches!(otherwise.as_ref(), Expr::Literal(ScalarValue::Boolean(None), _));
    match bound.as_ref() {
        Expr::ScalarFunction(function)
            if is_false
                && is_unknown
                && matches!(function.name(), "array_min" | "array_max")
                && function.args.first() == Some(list.as_ref()) =>
        {
            Some(list)
        }
        _ => None,
    }
}

/// The engine's function under its own name: others know it by that.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HasOrUnknown {
    engines: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for HasOrUnknown {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn signature(&self) -> &Signature {
        self.engines.signature()
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.engines.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (lists, rows) = (args.args.first().cloned(), args.number_rows);
        let found = self.engines.invoke_with_args(args)?;
        let Some(lists) = lists else { return Ok(found) };
        match found {
            ColumnarValue::Scalar(found) => {
                let found = or_unknown(&found.to_array()?, &lists.to_array(1)?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?))
            }
            ColumnarValue::Array(found) => Ok(ColumnarValue::Array(or_unknown(&found, &lists.to_array(rows)?))),
        }
    }
}

/// NULL for each list that has one and not the value.
fn or_unknown(found: &ArrayRef, lists: &ArrayRef) -> ArrayRef {
    let (Some(found_of), Some(lists)) = (found.as_boolean_opt(), lists.as_list_opt::<i32>()) else {
        return Arc::clone(found);
    };
    if lists.values().logical_null_count() == 0 {
        return Arc::clone(found);
    }
    let each = found_of.iter().enumerate().map(|(row, found)| match found {
        Some(false) if lists.is_valid(row) && lists.value(row).logical_null_count() > 0 => None,
        found => found,
    });
    Arc::new(BooleanArray::from_iter(each))
}

/// NULL for a list that holds a NULL, false for every other.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FalseOrUnknown {
    signature: Signature,
}

impl ScalarUDFImpl for FalseOrUnknown {
    fn name(&self) -> &str {
        "false_or_unknown"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        match args.args.into_iter().next() {
            Some(ColumnarValue::Scalar(list)) => {
                let unknown = or_unknown(&none_of(1), &list.to_array()?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&unknown, 0)?))
            }
            Some(ColumnarValue::Array(lists)) => Ok(ColumnarValue::Array(or_unknown(&none_of(rows), &lists))),
            None => plan_err!("{} takes a list", self.name()),
        }
    }
}

/// As many times false.
fn none_of(rows: usize) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![false; rows]))
}

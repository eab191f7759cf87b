//! `1 = ANY (ARRAY[2, NULL])` is NULL: whether a value is in a list is not known where the list holds a NULL and not the value.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::optimizer::AnalyzerRule;

use crate::exact::rewrite;

/// Puts [`HasOrUnknown`] in the place of the engine's own function; runs after types were coerced.
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
        other => Transformed::no(other),
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

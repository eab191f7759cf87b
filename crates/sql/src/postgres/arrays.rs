//! A text cast to an array is read as PostgreSQL reads it: `'{a,b}'::text[]` has two elements. (The query engine makes one of the whole text.)

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, ListBuilder, StringBuilder};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::encode::array_text::{NoArray, from_text};
use crate::exact::rewrite;

/// Puts [`Elements`] below such casts; runs after types were coerced.
#[derive(Debug)]
pub(crate) struct ArraysOfTexts;

impl AnalyzerRule for ArraysOfTexts {
    fn name(&self) -> &str {
        "arrays_of_texts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, of_text)
    }
}

fn of_text(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Cast(Cast { expr, field })
            if matches!(field.data_type(), DataType::List(_))
                && expr.get_type(schema).is_ok_and(|data_type| data_type.is_string()) =>
        {
            let function = ScalarUDF::from(Elements(Signature::any(1, Volatility::Immutable)));
            let elements = Box::new(function.call(vec![*expr]));
            Transformed::yes(Expr::Cast(Cast { expr: elements, field }))
        }
        other => Transformed::no(other),
    }
}

/// The elements of an array's text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Elements(Signature);

impl ScalarUDFImpl for Elements {
    fn name(&self) -> &str {
        "array_in"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [texts] = arrays.as_slice() else {
            return plan_err!("'array_in' is of one text");
        };
        Ok(ColumnarValue::Array(elements(texts)?))
    }
}

fn elements(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast_array(texts, &DataType::Utf8)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for text in texts.as_string::<i32>() {
        match text.map(|text| (text, from_text(text))) {
            Some((_, Ok(elements))) => lists.append_value(elements),
            Some((text, Err(NoArray(why)))) => {
                let why = format!("malformed array literal: \"{text}\": {why}");
                return Err(ArrowError::ParseError(why).into());
            }
            None => lists.append_null(),
        }
    }
    Ok(Arc::new(lists.finish()))
}

//! A text cast to an array is read as PostgreSQL reads it: `'{a,b}'::text[]` has two elements. (The query engine makes one of the whole text.)

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, ListBuilder, StringBuilder};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;
use crate::encode::array_text::{NoArray, from_text};
use crate::plan::of_one;

/// Puts [`elements`] below such casts; runs after types were coerced.
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
            let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
            let elements = Box::new(of_one::call("array_in", texts, elements, *expr));
            Transformed::yes(Expr::Cast(Cast { expr: elements, field }))
        }
        other => Transformed::no(other),
    }
}

/// The elements of each array's text.
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

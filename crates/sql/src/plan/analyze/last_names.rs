//! `value ->> 'a'` of `{"a": 1, "a": 2}` is 2, as a column `a` of the same event is: the last one counts. (The query engine's functions stop at the first.)

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::optimizer::AnalyzerRule;
use headwater_catalog::value::repeated::{Step, last_of_each};

use super::rewrite::rewrite;

/// What the functions on JSON begin with.
const ON_JSON: &str = "json_";

/// Puts [`LastNames`] around the functions on JSON; runs last, as the functions are put in the place of others by their own rules.
#[derive(Debug)]
pub(crate) struct LastNamesCount;

impl AnalyzerRule for LastNamesCount {
    fn name(&self) -> &str {
        "last_names_count"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, with_last_names)
    }
}

fn with_last_names(expr: Expr, _schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.name().starts_with(ON_JSON) && !func.inner().is::<LastNames>() =>
        {
            let func = Arc::new(ScalarUDF::from(LastNames(func)));
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        other => Transformed::no(other),
    }
}

/// A function on JSON that is given what has each name once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LastNames(Arc<ScalarUDF>);

impl ScalarUDFImpl for LastNames {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.0.schema_name(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (first, path) = match args.args.split_first_mut() {
            Some((first, path)) => (first, path),
            None => return self.0.invoke_with_args(args),
        };
        if let Some(once) = steps(path).and_then(|steps| once(first, &steps)) {
            *first = once;
        }
        self.0.invoke_with_args(args)
    }
}

/// The steps that constants name; `None` where one is no constant.
fn steps(path: &[ColumnarValue]) -> Option<Vec<Step<'_>>> {
    path.iter().map(step).collect()
}

fn step(part: &ColumnarValue) -> Option<Step<'_>> {
    match part {
        ColumnarValue::Scalar(value) => Some(match value.try_as_str().flatten() {
            Some(name) => Step::Name(name),
            None => Step::Place,
        }),
        ColumnarValue::Array(_) => None,
    }
}

/// The texts with each name once; `None` where they have that already.
fn once(texts: &ColumnarValue, steps: &[Step<'_>]) -> Option<ColumnarValue> {
    match texts {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => {
            let text = last_of_each(text, steps)?;
            Some(ColumnarValue::Scalar(ScalarValue::from(text)))
        }
        ColumnarValue::Array(array) => {
            let texts = array.as_string_opt::<i32>()?;
            let repeats = |text: Option<&str>| text.and_then(|text| last_of_each(text, steps));
            let changed: Vec<Option<String>> = texts.iter().map(repeats).collect();
            if changed.iter().all(Option::is_none) {
                return None;
            }
            let all = texts.iter().zip(&changed);
            let all: StringArray = all.map(|(text, changed)| changed.as_deref().or(text)).collect();
            Some(ColumnarValue::Array(Arc::new(all) as ArrayRef))
        }
        ColumnarValue::Scalar(_) => None,
    }
}

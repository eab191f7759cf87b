//! Parameters of a plan that is run again and again: functions that give the values of the run.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parking_lot::Mutex;

/// A parameter: what a plan calls it, and its type.
pub(super) type Named = (String, DataType);

/// The values that the parameters have in a run.
#[derive(Debug, Default)]
pub(super) struct Values(Mutex<Vec<ScalarValue>>);

impl Values {
    /// Those of the next run.
    pub(super) fn set(&self, values: Vec<ScalarValue>) {
        *self.0.lock() = values;
    }
}

/// The plan with functions in the place of its parameters. Its scans keep them: whoever runs it says what those read.
pub(super) fn bound(plan: LogicalPlan, parameters: &[Named], values: &Arc<Values>) -> Result<LogicalPlan> {
    let in_expr = |expr: Expr| {
        expr.transform_up(|part| {
            let Expr::Placeholder(placeholder) = &part else {
                return Ok(Transformed::no(part));
            };
            let Some(place) = parameters.iter().position(|(name, _)| *name == placeholder.id) else {
                return exec_err!("there is no parameter {}", placeholder.id);
            };
            let (name, data_type) = parameters[place].clone();
            let value = Value {
                name,
                place,
                data_type,
                values: Arc::clone(values),
                signature: Signature::nullary(Volatility::Volatile),
            };
            Ok(Transformed::yes(ScalarUDF::from(value).call(Vec::new())))
        })
    };
    let bound = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::TableScan(_) = &node {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(in_expr(expr)?.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(bound.data)
}

/// The value that a parameter has in this run.
#[derive(Debug)]
struct Value {
    name: String,
    place: usize,
    data_type: DataType,
    values: Arc<Values>,
    signature: Signature,
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.place == other.place && Arc::ptr_eq(&self.values, &other.values)
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
    }
}

impl ScalarUDFImpl for Value {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = self.values.0.lock();
        match values.get(self.place) {
            Some(value) => Ok(ColumnarValue::Scalar(value.clone())),
            None => exec_err!("{} has no value", self.name),
        }
    }
}

//! A function that gives back what it gets, and is called as that is: for what the query engine is to be told of an expression, or not to know of it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Such a function. A volatile one hides what is known of its argument; `may_be_null`: what it gives may be NULL, also where its argument never is.
pub(crate) fn itself(name: &'static str, volatility: Volatility, may_be_null: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Itself {
        name,
        may_be_null,
        signature: Signature::any(1, volatility),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Itself {
    name: &'static str,
    may_be_null: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Itself {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(", "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [data_type] => Ok(data_type.clone()),
            _ => plan_err!("{} takes one argument, not {}", self.name, types.len()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => {
                let is_nullable = self.may_be_null || field.is_nullable();
                Ok(Field::new(self.name, field.data_type().clone(), is_nullable).into())
            }
            fields => plan_err!("{} takes one argument, not {}", self.name, fields.len()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => plan_err!("{} takes one argument", self.name),
        }
    }
}

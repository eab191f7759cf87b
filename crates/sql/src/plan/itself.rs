//! A function that gives back what it gets, and is called as that is: for what the query engine is to be told of an expression, or not to know of it.
//!
//! What a function gives of one value is one value to the engine, even where it is volatile; what it gives of that and of something that is not is none.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

static OR_NULL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Itself::function("or_null", Volatility::Immutable, true));
static HIDDEN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Itself::function("hidden", Volatility::Volatile, false));
static SOMETHING: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Something {
        signature: Signature::exact(Vec::new(), Volatility::Volatile),
    }))
});

/// The same, which may be NULL, also where it never is.
pub(crate) fn or_null(expr: Expr) -> Expr {
    OR_NULL.call(vec![expr])
}

/// The same, of which nothing is known.
pub(crate) fn hidden(expr: Expr) -> Expr {
    HIDDEN.call(vec![expr, SOMETHING.call(Vec::new())])
}

/// Whether nothing is known of an expression because of [`hidden`].
pub(crate) fn is_hidden(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(function) if Arc::ptr_eq(&function.func, &HIDDEN))
}

/// Gives back its first argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Itself {
    name: &'static str,
    may_be_null: bool,
    signature: Signature,
}

impl Itself {
    fn function(name: &'static str, volatility: Volatility, may_be_null: bool) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Itself {
            name,
            may_be_null,
            signature: Signature::variadic_any(volatility),
        }))
    }
}

impl ScalarUDFImpl for Itself {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map_or(String::new(), |arg| arg.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(data_type) => Ok(data_type.clone()),
            None => plan_err!("{} takes an argument", self.name),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => {
                let is_nullable = self.may_be_null || field.is_nullable();
                Ok(Field::new(self.name, field.data_type().clone(), is_nullable).into())
            }
            None => plan_err!("{} takes an argument", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => plan_err!("{} takes an argument", self.name),
        }
    }
}

/// Is something, of which the engine cannot say that it is always the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Something {
    signature: Signature,
}

impl ScalarUDFImpl for Something {
    fn name(&self) -> &str {
        "something"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)))
    }
}

//! The only value there is, or an error where a subquery that is a value has more than one row.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::{SqlError, SqlState};

/// The value where the number of rows is at most one.
pub(super) fn of(value: Expr, rows: Expr) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::from(Only { signature }).call(vec![value, rows])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Only {
    signature: Signature,
}

impl ScalarUDFImpl for Only {
    fn name(&self) -> &str {
        "_headwater_only"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => plan_err!("a value and its rows are looked at"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, rows] = args.args.as_slice() else {
            return plan_err!("a value and its rows are looked at");
        };
        let rows = rows.to_array(args.number_rows)?;
        let are_more = rows.as_primitive::<Int64Type>().iter().flatten().any(|rows| rows > 1);
        match are_more {
            true => {
                let message = "more than one row returned by a subquery used as an expression";
                Err(SqlError::new(SqlState::CARDINALITY, message)
                    .hint("add a condition or LIMIT 1, or take max(…) of it")
                    .into())
            }
            false => Ok(value.clone()),
        }
    }
}

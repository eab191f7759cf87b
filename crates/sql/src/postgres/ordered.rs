//! Aggregates over values in an order: `mode()`, `percentile_disc(0.5) WITHIN GROUP (ORDER BY x)`. The values are gathered in their order, and the answer is
//! taken out of the list.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArgumentClause, FunctionArguments};

use super::dialect::{call, first_argument};
use crate::{SqlError, SqlState};

const MODE: &str = "_headwater_mode";
const PERCENTILE: &str = "_headwater_percentile";

/// Such an aggregate as what is asked of a list; `None` where it is another function.
pub(super) fn of_list(name: &str, function: &Function) -> Option<Expr> {
    let [order] = function.within_group.as_slice() else {
        return None;
    };
    let of = order.expr.clone();
    let mut gathered = call("array_agg", vec![of.clone()]);
    if let Expr::Function(gathered) = &mut gathered {
        if let FunctionArguments::List(list) = &mut gathered.args {
            list.clauses.push(FunctionArgumentClause::OrderBy(vec![order.clone()]));
        }
        let is_value = Expr::IsNotNull(Box::new(of));
        gathered.filter = Some(Box::new(match &function.filter {
            Some(filter) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(filter.clone())),
                op: BinaryOperator::And,
                right: Box::new(is_value),
            },
            None => is_value,
        }));
    }
    match (name, &function.args) {
        ("mode", FunctionArguments::List(list)) if list.args.is_empty() => Some(call(MODE, vec![gathered])),
        ("percentile_disc", FunctionArguments::List(list)) if list.args.len() == 1 => {
            let part = first_argument(function)?;
            Some(call(PERCENTILE, vec![gathered, part.clone()]))
        }
        _ => None,
    }
}

/// The functions of lists.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let function = |name| {
        ScalarUDF::from(OfList {
            name,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    };
    vec![function(MODE), function(PERCENTILE)]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfList {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for OfList {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [list @ DataType::List(_)] => Ok(vec![list.clone()]),
            [list @ DataType::List(_), part] if part.is_numeric() || part.is_string() || part.is_null() => {
                Ok(vec![list.clone(), DataType::Float64])
            }
            _ => plan_err!("percentile_disc takes a part between 0 and 1"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::List(element), ..] => Ok(element.data_type().clone()),
            _ => plan_err!("{} is of a list", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let Some(lists) = args.args.first() else {
            return exec_err!("{} is of a list", self.name);
        };
        let lists = lists.to_array(rows)?;
        let parts = args.args.get(1).map(|part| part.to_array(rows)).transpose()?;
        let lists = lists.as_list::<i32>();
        let mut found: Vec<ScalarValue> = Vec::with_capacity(rows);
        for row in 0..lists.len() {
            let list = lists
                .is_valid(row)
                .then(|| lists.value(row))
                .filter(|list| !list.is_empty());
            let place = match (&list, &parts) {
                (None, _) => None,
                (Some(list), None) => most_frequent(list)?,
                (Some(list), Some(parts)) => at_part(list, &ScalarValue::try_from_array(parts, row)?)?,
            };
            found.push(match (list, place) {
                (Some(list), Some(place)) => ScalarValue::try_from_array(&list, place)?,
                _ => ScalarValue::try_from(&lists.value_type())?,
            });
        }
        match found.is_empty() {
            true => Ok(ColumnarValue::Array(datafusion::arrow::array::new_empty_array(
                &lists.value_type(),
            ))),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(found)?)),
        }
    }
}

/// Where the value stands that comes most often, the first one of several.
fn most_frequent(list: &ArrayRef) -> Result<Option<usize>> {
    let (mut best, mut most) = (None, 0);
    let mut start = 0;
    while start < list.len() {
        let value = ScalarValue::try_from_array(list, start)?;
        let mut end = start + 1;
        while end < list.len() && ScalarValue::try_from_array(list, end)? == value {
            end += 1;
        }
        if end - start > most {
            (best, most) = (Some(start), end - start);
        }
        start = end;
    }
    Ok(best)
}

/// Where the first value stands of which at least such a part of all is not behind it.
fn at_part(list: &ArrayRef, part: &ScalarValue) -> Result<Option<usize>> {
    let ScalarValue::Float64(Some(part)) = part else {
        return Ok(None);
    };
    if !(0.0..=1.0).contains(part) {
        let message = format!("percentile value {part} is not between 0 and 1");
        return Err(SqlError::new(SqlState::OUT_OF_RANGE, message).into());
    }
    let count = (part * list.len() as f64).ceil() as usize;
    Ok(Some(count.max(1) - 1))
}

//! Aggregates over values in an order: `mode()`, `percentile_disc(0.5) WITHIN GROUP (ORDER BY x)`. The values are gathered in their order, and the answer is
//! taken out of the list. Of several parts at once each is asked for itself; the place that a value would have (`rank(7)`) is counted.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Value,
};

use crate::postgres::ast::{call, first_argument, listed};
use crate::{SqlError, SqlState};

const MODE: &str = "_headwater_mode";
const PERCENTILE: &str = "_headwater_percentile";

/// Such an aggregate as what is asked of a list; `None` where it is another function.
pub(crate) fn of_list(name: &str, function: &Function) -> Option<Expr> {
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

/// Percentiles of several parts: a list of those of each; `None` where it is another function.
pub(crate) fn of_parts(name: &str, function: &Function) -> Option<Expr> {
    if !matches!(name, "percentile_cont" | "percentile_disc") || function.within_group.len() != 1 {
        return None;
    }
    let each = parts(first_argument(function)?)?.into_iter().map(|part| {
        let mut one = function.clone();
        if let FunctionArguments::List(list) = &mut one.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(part))];
        }
        of_list(name, &one).unwrap_or(Expr::Function(one))
    });
    Some(call("make_array", each.collect()))
}

/// The elements of a list that is written out.
fn parts(list: &Expr) -> Option<Vec<Expr>> {
    if let Some(listed) = listed(list) {
        return Some(listed);
    }
    match list {
        Expr::Nested(list) | Expr::Cast { expr: list, .. } => parts(list),
        Expr::Value(value) => {
            let Value::SingleQuotedString(written) = &value.value else {
                return None;
            };
            let numbers = written.trim().strip_prefix('{')?.strip_suffix('}')?.split(',');
            let number = |number: &str| Expr::Value(Value::Number(number.trim().to_owned(), false).with_empty_span());
            Some(numbers.map(number).collect())
        }
        _ => None,
    }
}

/// The place that a value would have among others: `rank(7) WITHIN GROUP (ORDER BY x)`; `None` where it is another function.
pub(crate) fn of_value(name: &str, function: &Function) -> Option<Expr> {
    let ([order], FunctionArguments::List(list)) = (function.within_group.as_slice(), &function.args) else {
        return None;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return None;
    };
    let is_descending = order.options.asc == Some(false);
    let has_nulls_first = order.options.nulls_first.unwrap_or(is_descending);
    let beside = |ascending, descending| {
        let op = if is_descending { descending } else { ascending };
        let ordered = binary(order.expr.clone(), op, value.clone());
        match has_nulls_first {
            true => binary(ordered, BinaryOperator::Or, Expr::IsNull(Box::new(order.expr.clone()))),
            false => ordered,
        }
    };
    let count = |counted: FunctionArgExpr, is_distinct: bool, condition: Option<Expr>| {
        let mut count = call("count", Vec::new());
        if let Expr::Function(count) = &mut count {
            if let FunctionArguments::List(list) = &mut count.args {
                list.args = vec![FunctionArg::Unnamed(counted)];
                list.duplicate_treatment = is_distinct.then_some(DuplicateTreatment::Distinct);
            }
            let conditions = condition.into_iter().chain(function.filter.as_deref().cloned());
            count.filter = conditions
                .reduce(|one, other| binary(one, BinaryOperator::And, other))
                .map(Box::new);
        }
        count
    };
    let one = || Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    let rows = |condition| count(FunctionArgExpr::Wildcard, false, condition);
    let before = || rows(Some(beside(BinaryOperator::Lt, BinaryOperator::Gt)));
    let share = |of: Expr, all: Expr| binary(as_float(of), BinaryOperator::Divide, as_float(all));
    Some(match name {
        "rank" => binary(before(), BinaryOperator::Plus, one()),
        "dense_rank" => {
            let different = FunctionArgExpr::Expr(order.expr.clone());
            let before = count(different, true, Some(beside(BinaryOperator::Lt, BinaryOperator::Gt)));
            binary(before, BinaryOperator::Plus, one())
        }
        "percent_rank" => share(before(), call("greatest", vec![rows(None), one()])),
        "cume_dist" => {
            let upto = rows(Some(beside(BinaryOperator::LtEq, BinaryOperator::GtEq)));
            let with_it = |count| binary(count, BinaryOperator::Plus, one());
            share(with_it(upto), with_it(rows(None)))
        }
        _ => return None,
    })
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

fn as_float(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: SqlType::DoublePrecision,
        array: false,
        format: None,
    }
}

/// The functions of lists.
pub(crate) fn functions() -> Vec<ScalarUDF> {
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

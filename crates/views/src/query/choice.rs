//! `CASE` between two numbers, worked out for a whole batch at once.
//!
//! The engine's CASE evaluates each branch for the rows that take it alone: it filters the columns for every branch and puts the results together
//! again. Where the branches are columns, their negatives or constants, there is nothing that could fail or cost much on the other rows, so that both
//! are worked out for every row, and one of the two values is picked.
//!
//! Invariant: what comes out is what the CASE gives.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, downcast_primitive};
use arrow::compute::kernels::zip::zip;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column, Literal, NegativeExpr};

use crate::fold::stage::Physical;

/// An expression over columns of a schema, with every CASE that can be a choice in its place.
pub(super) fn chosen(expression: Physical, input: &Schema) -> Result<Physical> {
    let chosen = expression.transform_up(|part| {
        let choice = part.downcast_ref::<CaseExpr>().and_then(|case| Choice::of(case, input));
        Ok(match choice {
            Some(choice) => Transformed::yes(Arc::new(choice) as Physical),
            None => Transformed::no(part),
        })
    })?;
    Ok(chosen.data)
}

/// One of two values.
#[derive(Debug, Eq)]
struct Choice {
    condition: Physical,
    then: Physical,
    otherwise: Physical,
}

impl Choice {
    fn of(case: &CaseExpr, input: &Schema) -> Option<Choice> {
        let [(when, then)] = case.when_then_expr() else {
            return None;
        };
        let data_type = then.data_type(input).ok()?;
        let otherwise = match case.else_expr() {
            Some(otherwise) => Arc::clone(otherwise),
            None => Arc::new(Literal::new(ScalarValue::try_new_null(&data_type).ok()?)),
        };
        let is_alike = otherwise.data_type(input).ok()? == data_type;
        if !data_type.is_primitive() || !is_alike || !is_free(then) || !is_free(&otherwise) {
            return None;
        }
        let condition = match case.expr() {
            Some(value) => Arc::new(BinaryExpr::new(Arc::clone(value), Operator::Eq, Arc::clone(when))),
            None => Arc::clone(when),
        };
        Some(Choice {
            condition,
            then: Arc::clone(then),
            otherwise,
        })
    }
}

/// Whether working it out for a row costs next to nothing and cannot fail.
fn is_free(expression: &Physical) -> bool {
    let is_column = |expression: &Physical| expression.downcast_ref::<Column>().is_some();
    match expression.downcast_ref::<NegativeExpr>() {
        Some(negative) => is_column(negative.arg()),
        None => is_column(expression) || expression.downcast_ref::<Literal>().is_some(),
    }
}

impl PhysicalExpr for Choice {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.then.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        Ok(self.then.nullable(input)? || self.otherwise.nullable(input)?)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let column = |expression: &Physical| expression.evaluate(batch)?.into_array(rows);
        let condition = column(&self.condition)?;
        let picked = pick(condition.as_boolean(), &column(&self.then)?, &column(&self.otherwise)?)?;
        Ok(ColumnarValue::Array(picked))
    }

    fn children(&self) -> Vec<&Physical> {
        vec![&self.condition, &self.then, &self.otherwise]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Physical>) -> Result<Physical> {
        let mut next = || children.remove(0);
        Ok(Arc::new(Choice {
            condition: next(),
            then: next(),
            otherwise: next(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// By hand, as of all expressions of the engine: a derived one would move out of a box (rust-lang/rust#78808).
impl PartialEq for Choice {
    fn eq(&self, other: &Choice) -> bool {
        self.condition.eq(&other.condition) && self.then.eq(&other.then) && self.otherwise.eq(&other.otherwise)
    }
}

impl Hash for Choice {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
        self.then.hash(state);
        self.otherwise.hash(state);
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice {
            condition,
            then,
            otherwise,
        } = self;
        write!(f, "CASE WHEN {condition} THEN {then} ELSE {otherwise} END")
    }
}

/// For each row one of two values; the second where the condition is NULL.
fn pick(condition: &BooleanArray, then: &ArrayRef, otherwise: &ArrayRef) -> Result<ArrayRef> {
    macro_rules! of_type {
        ($type:ty) => {
            values_of::<$type>(condition, then.as_primitive(), otherwise.as_primitive())
        };
    }
    if then.null_count() + otherwise.null_count() > 0 {
        return Ok(zip(condition, then, otherwise)?);
    }
    Ok(downcast_primitive! {
        then.data_type() => (of_type),
        _ => zip(condition, then, otherwise)?,
    })
}

fn values_of<T: ArrowPrimitiveType>(
    condition: &BooleanArray,
    then: &PrimitiveArray<T>,
    otherwise: &PrimitiveArray<T>,
) -> ArrayRef {
    let holds = match condition.null_count() {
        0 => condition.values().clone(),
        _ => prep_null_mask_filter(condition).values().clone(),
    };
    let both = then.values().iter().zip(otherwise.values());
    let values = holds
        .iter()
        .zip(both)
        .map(|(holds, (then, otherwise))| if holds { *then } else { *otherwise });
    let picked = PrimitiveArray::<T>::from_iter_values(values);
    Arc::new(picked.with_data_type(then.data_type().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, StringArray};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{case, col, lit};

    use super::*;

    fn batch() -> RecordBatch {
        let amounts = Decimal128Array::from(vec![Some(100), Some(-250), None, Some(i128::from(i64::MAX)), Some(0)]);
        let amounts = amounts.with_precision_and_scale(38, 2).expect("a scale");
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "kind",
                Arc::new(StringArray::from(vec![
                    Some("in"),
                    Some("out"),
                    Some("in"),
                    None,
                    Some("out"),
                ])),
            ),
            ("amount", Arc::new(amounts)),
            ("n", Arc::new(Int64Array::from(vec![1, -2, 3, i64::MIN, 0]))),
            (
                "m",
                Arc::new(Int64Array::from(vec![Some(7), None, Some(9), Some(1), None])),
            ),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    /// `CASE kind WHEN 'in' THEN … ELSE … END` and the same written with a condition: as the engine has it.
    fn check(then: &str, otherwise: Option<&str>, is_chosen: bool) {
        let batch = batch();
        let schema = batch.schema();
        let value = |text: &str| -> Physical {
            match (text.strip_prefix('-'), text.parse::<i64>()) {
                (_, Ok(number)) => lit(number),
                (Some(name), _) => Arc::new(NegativeExpr::new(col(name, &schema).expect("a column"))),
                (None, _) => col(text, &schema).expect("a column"),
            }
        };
        let kind = || col("kind", &schema).expect("a column");
        let is_in: Physical = Arc::new(BinaryExpr::new(kind(), Operator::Eq, lit("in")));
        for (of, when) in [(Some(kind()), lit("in")), (None, is_in)] {
            let case = case(of, vec![(when, value(then))], otherwise.map(value)).expect("a CASE");
            let chosen = chosen(Arc::clone(&case), &schema).expect("a choice");
            assert_eq!(chosen.downcast_ref::<Choice>().is_some(), is_chosen, "{case}");
            assert_eq!(
                chosen.data_type(&schema).expect("a type"),
                case.data_type(&schema).expect("a type")
            );
            for length in [0, 1, batch.num_rows()] {
                let some = batch.slice(0, length);
                let values = |expression: &Physical| {
                    let values = expression.evaluate(&some).expect("it is worked out");
                    values.into_array(length).expect("an array")
                };
                assert_eq!(&values(&chosen), &values(&case), "{case}");
            }
        }
    }

    #[test]
    fn a_choice_gives_what_the_case_gives() {
        check("amount", Some("-amount"), true);
        check("n", Some("-n"), true);
        check("n", Some("m"), true);
        check("-n", Some("0"), true);
        check("m", None, true);
        check("n", None, true);
        check("kind", Some("kind"), false);
    }

    #[test]
    fn what_may_fail_stays_a_case() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        let n = || col("n", &schema).expect("a column");
        let share: Physical = Arc::new(BinaryExpr::new(lit(100_i64), Operator::Divide, n()));
        let is_some: Physical = Arc::new(BinaryExpr::new(n(), Operator::NotEq, lit(0_i64)));
        let case = case(None, vec![(is_some, share)], Some(lit(0_i64))).expect("a CASE");
        let chosen = chosen(case, &schema).expect("an expression");
        assert!(chosen.downcast_ref::<CaseExpr>().is_some(), "{chosen}");
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0, 5]));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).expect("a batch");
        let values = chosen.evaluate(&batch).expect("nothing is divided by zero");
        let values = values.into_array(2).expect("an array");
        assert_eq!(values.as_primitive::<arrow::datatypes::Int64Type>().values(), &[0, 20]);
    }
}

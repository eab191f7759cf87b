//! What is cheap to ask of a row is asked first: `l_shipmode = 'MAIL' AND l_shipdate < l_commitdate` compares two days before it compares texts.
//!
//! The query engine asks conditions as they are written. As soon as few rows are left it takes them apart, asks the next condition of them, and puts the answers back
//! into their places, which costs more than to compare all numbers there are. Here numbers, days and moments are compared over all rows, and the answers put
//! together bit by bit; the other conditions are asked as the engine does it, of what is left.
//!
//! Invariants
//! - A condition that may fail is asked of no row that it was not asked of before: those that are cheap cannot fail, and the others keep their order.
//! - Only a filter asks so: what is unknown drops a row as what is false does.
//! - What is equal in a filter's rows is seen in its conditions by whatever stands above it, as before.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, IsNullExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

/// Has filters of several conditions ask the cheap ones first.
#[derive(Debug)]
pub(crate) struct CheapFirst;

impl PhysicalOptimizerRule for CheapFirst {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            match in_order(filter.predicate(), &filter.input().schema()) {
                None => Ok(Transformed::no(node)),
                Some(predicate) => {
                    let asking = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
                    Ok(Transformed::yes(Arc::new(asking)))
                }
            }
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "cheap_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How a condition is asked; the first are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// Of all rows, with the others of its kind.
    Bitwise,
    /// What is equal is known to be so above the filter, if it stands there by itself.
    Equal,
    Costly,
}

/// The conditions of a filter, the cheap ones first; nothing where they stand so.
fn in_order(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
    let written = split_conjunction(predicate);
    let mut ordered: Vec<(Cost, &Arc<dyn PhysicalExpr>)> = written
        .iter()
        .map(|condition| (cost(condition, schema), *condition))
        .collect();
    ordered.sort_by_key(|(cost, _)| *cost);
    let count = ordered.iter().filter(|(cost, _)| *cost == Cost::Bitwise).count();
    let stands = ordered
        .iter()
        .zip(&written)
        .all(|((_, one), other)| Arc::ptr_eq(one, other));
    if count < 2 && stands {
        return None;
    }
    let mut conditions = ordered.into_iter().map(|(_, condition)| Arc::clone(condition));
    let bitwise: Option<Arc<dyn PhysicalExpr>> = match count {
        0 | 1 => conditions.next(),
        _ => Some(Arc::new(Bitwise {
            conditions: conditions.by_ref().take(count).collect(),
        })),
    };
    Some(conjunction(bitwise.into_iter().chain(conditions)))
}

fn cost(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Cost {
    let is_plain = |part: &Arc<dyn PhysicalExpr>| part.is::<Column>() || part.is::<Literal>();
    if let Some(compared) = condition.downcast_ref::<BinaryExpr>() {
        let is_fixed = |part: &Arc<dyn PhysicalExpr>| {
            is_plain(part) && part.data_type(schema).is_ok_and(|of| is_of_fixed_width(&of))
        };
        return match compared.op() {
            _ if !is_fixed(compared.left()) || !is_fixed(compared.right()) => Cost::Costly,
            Operator::Eq => Cost::Equal,
            Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => Cost::Bitwise,
            _ => Cost::Costly,
        };
    }
    let asked = condition.downcast_ref::<IsNullExpr>().map(IsNullExpr::arg);
    let asked = asked.or_else(|| condition.downcast_ref::<IsNotNullExpr>().map(IsNotNullExpr::arg));
    match asked.is_some_and(is_plain) {
        true => Cost::Bitwise,
        false => Cost::Costly,
    }
}

fn is_of_fixed_width(data_type: &DataType) -> bool {
    *data_type == DataType::Boolean || data_type.is_primitive() && !matches!(data_type, DataType::Decimal256(_, _))
}

/// Conditions that are asked of all rows, and must all hold. Never unknown: what is, drops its row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bitwise {
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

impl PhysicalExpr for Bitwise {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let mut holds = BooleanBuffer::new_set(rows);
        for condition in &self.conditions {
            let asked = condition.evaluate(batch)?.into_array(rows)?;
            let asked = as_boolean_array(&asked)?;
            holds = &holds & asked.values();
            if let Some(known) = asked.nulls() {
                holds = &holds & known.inner();
            }
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(holds))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.conditions.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, conditions: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Bitwise { conditions }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Bitwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            write!(f, "{and}{condition}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::Operator::{And, Divide, Eq, Gt, Lt};
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    fn schema() -> Schema {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        Schema::new(vec![
            field("n", DataType::Int64),
            field("m", DataType::Int64),
            field("t", DataType::Utf8),
        ])
    }

    fn compared(left: Arc<dyn PhysicalExpr>, op: Operator, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        binary(left, op, right, &schema()).expect("an expression")
    }

    fn column(name: &str) -> Arc<dyn PhysicalExpr> {
        col(name, &schema()).expect("a column")
    }

    /// Rows of `n`, `m` and `t`: asked as they are written, and in order, the same pass. `shown` is the order, where it is another.
    fn check(predicate: &Arc<dyn PhysicalExpr>, shown: Option<&str>, expected: &[usize]) {
        let numbers = |null: i64| {
            (0..40)
                .map(|row| (row % null != 0).then_some(row))
                .collect::<Int64Array>()
        };
        let texts: StringArray = (0..40)
            .map(|row| (row % 5 != 0).then(|| format!("t{}", row % 3)))
            .collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers(7)), Arc::new(numbers(11)), Arc::new(texts)];
        let batch = RecordBatch::try_new(Arc::new(schema()), columns).expect("rows");
        let passed = |predicate: &Arc<dyn PhysicalExpr>| -> Vec<usize> {
            let asked = predicate
                .evaluate(&batch)
                .and_then(|asked| asked.into_array(40))
                .expect("answers");
            let asked = asked.as_boolean();
            (0..40)
                .filter(|row| asked.is_valid(*row) && asked.value(*row))
                .collect()
        };
        assert_eq!(passed(predicate), expected, "{predicate}");
        let ordered = in_order(predicate, &schema());
        assert_eq!(ordered.as_ref().map(ToString::to_string).as_deref(), shown);
        if let Some(ordered) = ordered {
            assert_eq!(passed(&ordered), expected, "{ordered}");
        }
    }

    #[test]
    fn numbers_are_compared_before_texts() {
        let text = compared(column("t"), Eq, lit("t1"));
        let few = compared(column("n"), Lt, lit(6i64));
        let many = compared(column("n"), Gt, lit(6i64));
        let beside = compared(column("m"), Lt, column("n"));
        let one = compared(column("n"), Eq, lit(4i64));
        let and =
            |left: &Arc<dyn PhysicalExpr>, right: &Arc<dyn PhysicalExpr>| compared(left.clone(), And, right.clone());
        // Of few rows that are left, of most, and of none.
        check(&and(&text, &few), Some("n@0 < 6 AND t@2 = t1"), &[1, 4]);
        check(
            &and(&text, &many),
            Some("n@0 > 6 AND t@2 = t1"),
            &[13, 16, 19, 22, 31, 34, 37],
        );
        check(
            &and(&and(&text, &few), &many),
            Some("n@0 < 6 AND n@0 > 6 AND t@2 = t1"),
            &[],
        );
        check(&and(&few, &beside), Some("n@0 < 6 AND m@1 < n@0"), &[]);
        check(
            &and(&and(&text, &one), &few),
            Some("n@0 < 6 AND n@0 = 4 AND t@2 = t1"),
            &[4],
        );
        let known: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(column("t")));
        let unknown: Arc<dyn PhysicalExpr> = Arc::new(IsNullExpr::new(column("n")));
        check(
            &and(&unknown, &known),
            Some("n@0 IS NULL AND t@2 IS NOT NULL"),
            &[7, 14, 21, 28],
        );
        // They stand so.
        check(&few, None, &[1, 2, 3, 4, 5]);
        check(&and(&few, &text), None, &[1, 4]);
        check(&and(&one, &text), None, &[4]);
    }

    #[test]
    fn what_may_fail_keeps_its_place() {
        let number = |number: i64| compared(lit(10i64), Divide, lit(number));
        let quotient = compared(compared(lit(10i64), Divide, column("m")), Gt, lit(1i64));
        let other = compared(number(2), Gt, column("n"));
        let cheap = compared(column("n"), Gt, lit(0i64));
        let all = compared(compared(quotient, And, other), And, cheap);
        check(&all, Some("n@0 > 0 AND 10 / m@1 > 1 AND 10 / 2 > n@0"), &[1, 2, 3, 4]);
    }
}

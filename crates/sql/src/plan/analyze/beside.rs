//! What values become that are compared with one of another kind.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator, cast};

/// Casts the sides of a comparison: a value, which is of the first type, becomes beside one of the second one of the type that `wanted` says, if any.
pub(crate) fn compared(
    expr: Expr,
    schema: &DFSchema,
    wanted: impl Fn(&DataType, &DataType) -> Option<DataType>,
) -> Transformed<Expr> {
    let of = |side: &Expr| side.get_type(schema).unwrap_or(DataType::Null);
    let beside = |side: Expr, other: &DataType| match wanted(&of(&side), other) {
        Some(data_type) => Transformed::yes(cast(side, data_type)),
        None => Transformed::no(side),
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left_type, right_type) = (of(&left), of(&right));
            let (left, right) = (beside(*left, &right_type), beside(*right, &left_type));
            let is_changed = left.transformed || right.transformed;
            let compared = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
            Transformed::new_transformed(Expr::BinaryExpr(compared), is_changed)
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let data_type = of(&expr);
            let (low, high) = (beside(*low, &data_type), beside(*high, &data_type));
            let is_changed = low.transformed || high.transformed;
            let between = Between::new(expr, negated, Box::new(low.data), Box::new(high.data));
            Transformed::new_transformed(Expr::Between(between), is_changed)
        }
        Expr::InList(InList { expr, list, negated }) => {
            let data_type = of(&expr);
            let list: Vec<_> = list.into_iter().map(|one| beside(one, &data_type)).collect();
            let is_changed = list.iter().any(|one| one.transformed);
            let list = list.into_iter().map(|one| one.data).collect();
            Transformed::new_transformed(Expr::InList(InList::new(expr, list, negated)), is_changed)
        }
        other => Transformed::no(other),
    }
}

fn compares(op: Operator) -> bool {
    op.supports_propagation() || matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

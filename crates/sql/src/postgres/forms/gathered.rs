//! `ARRAY(SELECT x … ORDER BY y)`: the rows of a query as an array.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, OrderBy, OrderByKind, Query, SelectItem, SetExpr,
};

use crate::postgres::ast::call;
use crate::{SqlError, SqlState};

/// The query's one column, gathered in its order; of no rows an empty array.
pub(super) fn of(query: &Query) -> Result<Expr, SqlError> {
    let mut query = query.clone();
    let order = match query.order_by.take() {
        Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            ..
        }) if query.limit_clause.is_none() => order,
        None => Vec::new(),
        Some(_) => return Err(not_gathered()),
    };
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [item] = select.projection.as_mut_slice()
        && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
    {
        let mut gathered = call("array_agg", vec![expr.clone()]);
        if let Expr::Function(Function {
            args: FunctionArguments::List(list),
            ..
        }) = &mut gathered
            && !order.is_empty()
        {
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
        }
        *item = SelectItem::UnnamedExpr(gathered);
        let none = call("make_array", Vec::new());
        return Ok(call("coalesce", vec![Expr::Subquery(Box::new(query)), none]));
    }
    Err(not_gathered())
}

fn not_gathered() -> SqlError {
    let message = "ARRAY(…) of this query is not there";
    SqlError::new(SqlState::NOT_SUPPORTED, message).hint("write array_agg(… ORDER BY …) in its SELECT")
}

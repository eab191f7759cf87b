//! `FETCH FIRST 5 ROWS ONLY` is `LIMIT 5`; with `WITH TIES` it is the rows of the first ranks.
//!
//! ```text
//! SELECT id FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES
//! SELECT id FROM t QUALIFY rank() OVER (ORDER BY a) <= 3 ORDER BY a
//! ```

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Value,
    WindowSpec, WindowType,
};

use crate::postgres::ast::call;
use crate::{SqlError, SqlState};

/// Rewrites the FETCH of a query.
pub(super) fn limited(query: &mut Query) -> Result<(), SqlError> {
    let Some(fetch) = &query.fetch else { return Ok(()) };
    if fetch.percent {
        let message = "FETCH … PERCENT is not there";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("write LIMIT and a number of rows"));
    }
    let one = || Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    let rows = fetch.quantity.clone().unwrap_or_else(one);
    if fetch.with_ties {
        with_ties(query, rows)?;
        query.fetch = None;
        return Ok(());
    }
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) if limit.is_none() => *limit = Some(rows),
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(rows),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(_) => {
            let message = "LIMIT and FETCH say the same thing twice";
            return Err(SqlError::new(SqlState::SYNTAX, message).hint("leave one of them out"));
        }
    }
    query.fetch = None;
    Ok(())
}

/// A row has as many rows before it as its rank says: the last ones of the first `rows` and all that are equal to them have no higher rank.
fn with_ties(query: &mut Query, rows: Expr) -> Result<(), SqlError> {
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind) else {
        let message = "WITH TIES cannot be specified without ORDER BY clause";
        return Err(SqlError::new(SqlState::SYNTAX, message).hint("say what makes rows equal: ORDER BY column"));
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(not_of_sets());
    };
    if select.distinct.is_some() || select.qualify.is_some() {
        return Err(not_of_sets());
    }
    let order = order.iter().map(|by| meant(by, select)).collect();
    let mut rank = call("rank", Vec::new());
    if let Expr::Function(Function { over, .. }) = &mut rank {
        *over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: Vec::new(),
            order_by: order,
            window_frame: None,
        }));
    }
    let skipped = match &query.limit_clause {
        Some(LimitClause::LimitOffset { offset, .. }) => offset.as_ref().map(|offset| offset.value.clone()),
        _ => None,
    };
    let last = match skipped {
        Some(skipped) => binary(rows, BinaryOperator::Plus, skipped),
        None => rows,
    };
    select.qualify = Some(binary(rank, BinaryOperator::LtEq, last));
    Ok(())
}

/// What an ORDER BY means of a SELECT: the value behind a number or a name of its list.
fn meant(by: &OrderByExpr, select: &Select) -> OrderByExpr {
    let shown = |place: usize| match select.projection.get(place) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Some(expr.clone()),
        _ => None,
    };
    let value = match &by.expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number
                .parse::<usize>()
                .ok()
                .and_then(|number| shown(number.wrapping_sub(1))),
            _ => None,
        },
        Expr::Identifier(name) => select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if alias.value == name.value => Some(expr.clone()),
            _ => None,
        }),
        _ => None,
    };
    OrderByExpr {
        expr: value.unwrap_or_else(|| by.expr.clone()),
        ..by.clone()
    }
}

fn not_of_sets() -> SqlError {
    let message = "WITH TIES of this query is not there";
    SqlError::new(SqlState::NOT_SUPPORTED, message)
        .hint("put the query into FROM: SELECT * FROM (…) AS q ORDER BY … FETCH FIRST … WITH TIES")
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

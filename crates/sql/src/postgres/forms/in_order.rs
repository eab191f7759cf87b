//! `json_agg(x) FROM (SELECT … ORDER BY y) AS s`: what is gathered comes in the order of the query below, as PostgreSQL's users count on.
//!
//! The query engine forgets the order of a subquery, so it is said in the aggregate: `json_agg(x ORDER BY s.y)`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableFactor, Value,
};

use crate::question::outermost;

const GATHERING: [&str; 6] = [
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
];

/// Says the order of the one subquery that a SELECT reads in what gathers its rows.
pub(super) fn as_below(select: &mut Select) {
    let [from] = select.from.as_slice() else { return };
    let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = &from.relation
    else {
        return;
    };
    if !from.joins.is_empty() || !alias.columns.is_empty() {
        return;
    }
    let Some(order) = order(subquery, &alias.name) else {
        return;
    };
    let mut say = |expr: &mut Expr| {
        if let Expr::Function(function) = expr {
            in_order(function, &order);
        }
    };
    outermost::each(&mut select.projection, &mut say);
    outermost::each(&mut select.having, &mut say);
}

/// The order of a query by the columns that it shows; `None` where it has none, or one that cannot be said so.
fn order(query: &Query, alias: &Ident) -> Option<Vec<OrderByExpr>> {
    let OrderByKind::Expressions(by) = &query.order_by.as_ref()?.kind else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let named = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().cloned(),
        _ => None,
    };
    let is_all = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let shown = |name: &Ident| {
        let is_shown = |item: &SelectItem| named(item).is_some_and(|shown| shown.value == name.value);
        (is_all || select.projection.iter().any(is_shown)).then(|| name.clone())
    };
    let same = |by: &Expr| {
        select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if expr == by => Some(alias.clone()),
            _ => None,
        })
    };
    let column = |by: &OrderByExpr| match &by.expr {
        of if same(of).is_some() => same(of),
        Expr::Identifier(name) => shown(name),
        Expr::CompoundIdentifier(names) => shown(names.last()?),
        Expr::Value(value) => match &value.value {
            Value::Number(place, _) if !is_all => {
                let place: usize = place.parse().ok()?;
                named(select.projection.get(place.checked_sub(1)?)?)
            }
            _ => None,
        },
        _ => None,
    };
    let ordered = by.iter().map(|by| {
        let expr = Expr::CompoundIdentifier(vec![alias.clone(), column(by)?]);
        Some(OrderByExpr { expr, ..by.clone() })
    });
    ordered
        .collect::<Option<Vec<OrderByExpr>>>()
        .filter(|by| !by.is_empty())
}

/// Says an order in a function that gathers rows, where it has none.
fn in_order(function: &mut Function, order: &[OrderByExpr]) {
    let name = function.name.to_string().to_ascii_lowercase();
    if function.over.is_some() || !GATHERING.contains(&name.as_str()) {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let has_order = list
        .clauses
        .iter()
        .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    if !has_order && list.duplicate_treatment.is_none() {
        list.clauses.push(FunctionArgumentClause::OrderBy(order.to_vec()));
    }
}

//! What is known of a query over the catalog before it is planned: that it has no rows, or one.
//!
//! A query of a table that never has rows gives none, whatever its values are: they need not mean anything to the query engine.
//! A subquery that stands where a value does must say that it has one row. Over a table that never has rows it is NULL (an EXISTS of it is false). Any other looks a row up by its object id, so that the largest of its values is its only one.
//! Only tables of `pg_catalog` are meant, named so or by names that begin with `pg_`: a user's own subqueries stay as they are.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Value,
};

use super::schema::{EMPTY_TABLES, TABLES};
use crate::SqlError;
use crate::postgres::forms::row_functions;

/// Functions that give a row also where there is none to count.
const AGGREGATES: [&str; 8] = [
    "count",
    "sum",
    "min",
    "max",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
];

/// Leaves of a query that never has rows its columns' names only, also of each part of a UNION. Where it stands in another one, that one says what types
/// they are of; else they are texts.
pub(crate) fn without_rows(query: &mut Query, is_inner: bool) {
    let is_select = matches!(query.body.as_ref(), SetExpr::Select(_));
    if emptied(&mut query.body, is_inner) && is_select {
        // What they sort by may be gone.
        query.order_by = None;
        query.limit_clause = None;
    }
}

/// Whether the whole body was found to be without rows.
fn emptied(body: &mut SetExpr, is_inner: bool) -> bool {
    match body {
        SetExpr::Select(select) => emptied_select(select, is_inner),
        SetExpr::SetOperation { left, right, .. } => {
            let left = emptied(left, is_inner);
            emptied(right, is_inner) && left
        }
        _ => false,
    }
}

fn emptied_select(select: &mut Select, is_inner: bool) -> bool {
    let named = select.projection.iter().all(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !aggregates(expr),
        _ => false,
    });
    let [from] = select.from.as_mut_slice() else {
        return false;
    };
    if !named || !is_without_rows(from) {
        return false;
    }
    from.joins.clear();
    for item in &mut select.projection {
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                parts.last().cloned().unwrap_or_else(|| "".into())
            }
            _ => continue,
        };
        *item = SelectItem::ExprWithAlias {
            expr: match is_inner {
                true => null(),
                false => crate::postgres::ast::as_text(null()),
            },
            alias,
        };
    }
    select.selection = Some(Expr::Value(Value::Boolean(false).with_empty_span()));
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.distinct = None;
    true
}

/// `unnest(i.indkey, …) [WITH ORDINALITY]` of the catalog's lists, which are all NULL: a table without rows, whose columns are called as is said.
pub(crate) fn of_no_list(factor: &TableFactor) -> Option<Result<TableFactor, SqlError>> {
    let TableFactor::UNNEST { alias, array_exprs, .. } = factor else {
        return None;
    };
    if !are_no_lists(array_exprs) {
        return None;
    }
    let named = alias
        .iter()
        .flat_map(|alias| &alias.columns)
        .map(|column| column.name.value.clone());
    let mut names: Vec<String> = named.collect();
    if names.is_empty() {
        names = vec!["unnest".to_owned()];
    }
    let columns: Vec<String> = names
        .iter()
        .map(|name| format!("CAST(NULL AS BIGINT) AS \"{}\"", name.replace('"', "\"\"")))
        .collect();
    let empty = crate::postgres::ast::template(&format!("SELECT {} WHERE false", columns.join(", ")));
    let alias = alias.clone().map(|alias| TableAlias {
        columns: Vec::new(),
        ..alias
    });
    Some(empty.map(|subquery| TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias,
        sample: None,
    }))
}

/// Whether all of these are lists of the catalog, none of which is there.
pub(crate) fn are_no_lists(arrays: &[Expr]) -> bool {
    arrays.iter().all(|expr| match expr {
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| is_list_column(&name.value)),
        _ => false,
    })
}

/// Whether a column of that name is a list in each table of the catalog that has it.
fn is_list_column(name: &str) -> bool {
    let is_it = |column: &str| column.strip_suffix(":l").or(column.strip_suffix(":m")) == Some(name);
    let mut described = TABLES.iter().chain(&EMPTY_TABLES).map(|(_, _, columns)| columns);
    described.any(|columns| columns.split_whitespace().any(is_it))
}

/// What a subquery in the place of a value becomes; `None`: it stays.
pub(crate) fn value(subquery: &Expr) -> Option<Expr> {
    match subquery {
        Expr::Subquery(query) => {
            let select = plain(query)?;
            match never_has_rows(select) {
                true => Some(null()),
                false => single(query, select),
            }
        }
        Expr::Exists { subquery, negated } if never_has_rows(plain(subquery)?) => {
            Some(Expr::Value(Value::Boolean(*negated).with_empty_span()))
        }
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(query) if never_has_rows(plain(query)?) => Some(crate::postgres::ast::call(
                "string_to_array",
                vec![null(), crate::postgres::ast::text(",")],
            )),
            _ => None,
        },
        _ => None,
    }
}

/// The SELECT of a query over the catalog that gives one column and aggregates nothing.
fn plain(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice() else {
        return None;
    };
    let over_catalog =
        !select.from.is_empty() && select.from.iter().all(|from| catalog_table(&from.relation).is_some());
    (over_catalog && !aggregates(expr)).then_some(select)
}

/// Whether tables that are joined give no row: the first of them has none, or one that each row must find.
fn is_without_rows(from: &TableWithJoins) -> bool {
    // An outer join to the right would bring rows of its own.
    let keeps_left = from.joins.iter().all(|join| {
        use JoinOperator::{Inner, Join, Left, LeftOuter};
        matches!(join.join_operator, Join(_) | Inner(_) | Left(_) | LeftOuter(_))
    });
    let must_find = from.joins.iter().filter(|join| {
        use JoinOperator::{Inner, Join};
        matches!(join.join_operator, Join(_) | Inner(_))
    });
    let mut needed = std::iter::once(&from.relation).chain(must_find.map(|join| &join.relation));
    keeps_left
        && needed.any(|relation| match relation {
            TableFactor::Derived { subquery, .. } => match subquery.body.as_ref() {
                SetExpr::Select(select) => match select.from.as_slice() {
                    [from] => !select.projection.iter().any(is_aggregate) && is_without_rows(from),
                    _ => false,
                },
                _ => false,
            },
            relation => never_has_rows_in(relation),
        })
}

fn is_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    }
}

fn never_has_rows(select: &Select) -> bool {
    select.from.iter().any(|from| never_has_rows_in(&from.relation))
}

fn never_has_rows_in(relation: &TableFactor) -> bool {
    // The lists of the catalog are all NULL: nothing is in them.
    catalog_table(relation)
        .is_some_and(|table| table == "unnest" || EMPTY_TABLES.iter().any(|(_, empty, _)| *empty == table))
}

fn single(query: &Query, select: &Select) -> Option<Expr> {
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice() else {
        return None;
    };
    let mut select = select.clone();
    select.projection = vec![SelectItem::UnnamedExpr(crate::postgres::ast::call(
        "max",
        vec![expr.clone()],
    ))];
    let mut query = query.clone();
    query.order_by = None;
    query.limit_clause = None;
    *query.body = SetExpr::Select(Box::new(select));
    Some(Expr::Subquery(Box::new(query)))
}

/// The name of a table of `pg_catalog`.
fn catalog_table(relation: &TableFactor) -> Option<&str> {
    let TableFactor::Table { name, args, .. } = relation else {
        return None;
    };
    // A function of the catalog's columns has no rows, as no table there has what it is of.
    if args.as_ref().is_some_and(|args| !row_functions::is_of_columns(args)) {
        return None;
    }
    match parts(name).as_slice() {
        ["pg_catalog", table] => Some(table),
        // Clients leave the schema out where they please.
        [table] if table.starts_with("pg_") => Some(table),
        _ => None,
    }
}

fn aggregates(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => parts(&function.name)
            .last()
            .is_some_and(|name| AGGREGATES.contains(name)),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => aggregates(expr),
        _ => false,
    }
}

fn parts(name: &ObjectName) -> Vec<&str> {
    name.0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| ident.value.as_str())
        .collect()
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

//! What the columns of an answer are called where the question does not say: as PostgreSQL calls them (`FigureColname` in `parse_target.c`).
//!
//! Every value of a SELECT that has no name gets one before planning. The engine wants the names of one SELECT to differ, PostgreSQL does not: a name that is there
//! already gets a mark and a number, which are taken off the answer's columns again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, TrimWhereField, Value, VisitMut, VisitorMut,
};
use futures::TryStreamExt;

/// Begins what is added to a name that is there twice; no name that a client writes has it.
const MARK: char = '\u{1f}';

/// What PostgreSQL calls a value that nothing gives a name to.
const NAMELESS: &str = "?column?";

/// Words that stand for a value and not for a column.
const VALUES: [&str; 5] = [
    "current_user",
    "session_user",
    "current_role",
    "current_catalog",
    "current_schema",
];

/// Gives every value its name.
pub(super) fn give(query: &mut Query) {
    let _ = query.visit(&mut Selects);
}

/// Gives columns that stand beside a `*` names that none of its own columns has.
pub(super) fn set_apart(query: &mut Query) {
    let _ = query.visit(&mut BesideAll);
}

/// The name of the column at a place, where another one has it already.
pub(super) fn beside(name: &str, index: usize) -> Ident {
    Ident::with_quote('"', format!("{name}{MARK}{index}"))
}

struct BesideAll;

impl VisitorMut for BesideAll {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if !select.projection.iter().any(is_all) {
            return ControlFlow::Continue(());
        }
        for (index, item) in select.projection.iter_mut().enumerate() {
            let named = match item {
                SelectItem::UnnamedExpr(expr) => title(expr).map(|name| (expr, name)),
                SelectItem::ExprWithAlias { expr, alias } if !alias.value.contains(MARK) => {
                    let name = alias.value.clone();
                    Some((expr, name))
                }
                _ => None,
            };
            if let Some((expr, name)) = named {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: beside(&name, index),
                };
            }
        }
        ControlFlow::Continue(())
    }
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        order_by_place(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for (index, item) in select.projection.iter_mut().enumerate() {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
                _ => continue,
            };
            let column = alias.is_none() && is_column(expr);
            let name = alias.or_else(|| title(expr)).unwrap_or_else(|| NAMELESS.to_owned());
            // Columns of two tables may have one name: the tables keep them apart.
            let known_as = if column { expr.to_string() } else { name.clone() };
            let is_new = taken.insert(known_as);
            if column && is_new {
                continue;
            }
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: match is_new {
                    true => Ident::with_quote('"', name),
                    false => beside(&name, index),
                },
            };
        }
        ControlFlow::Continue(())
    }
}

/// `SELECT DISTINCT f(x) … ORDER BY f(x)`: the engine finds the value to sort by only where it has no name, so it is told its place.
fn order_by_place(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let Some(OrderBy {
        kind: OrderByKind::Expressions(sorted),
        ..
    }) = &mut query.order_by
    else {
        return;
    };
    if select.distinct.is_none() {
        return;
    }
    for by in sorted {
        let place = select
            .projection
            .iter()
            .position(|item| matches!(item, SelectItem::UnnamedExpr(expr) if *expr == by.expr && !is_column(expr)));
        if let Some(place) = place {
            let number = Value::Number((place + 1).to_string(), false);
            by.expr = Expr::Value(number.with_empty_span());
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => name.quote_style.is_some() || !VALUES.contains(&name.value.as_str()),
        Expr::CompoundIdentifier(_) => true,
        _ => false,
    }
}

/// The name that a value has by itself.
fn title(expr: &Expr) -> Option<String> {
    let named = |name: &str| Some(name.to_owned());
    match expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(parts) => Some(parts.last()?.value.clone()),
        Expr::Function(function) => Some(function.name.0.last()?.as_ident()?.value.to_lowercase()),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => title(inner),
        Expr::Cast {
            expr: inner, data_type, ..
        } => title(inner).or_else(|| type_title(&data_type.to_string())),
        Expr::TypedString(typed) => type_title(&typed.data_type.to_string()),
        Expr::Case { else_result, .. } => else_result
            .as_ref()
            .and_then(|result| title(result))
            .or_else(|| named("case")),
        Expr::Subquery(query) => first_title(query),
        Expr::Exists { .. } => named("exists"),
        Expr::Array(_) => named("array"),
        Expr::Interval(_) => named("interval"),
        Expr::Extract { .. } => named("extract"),
        Expr::Substring { .. } => named("substring"),
        Expr::Position { .. } => named("position"),
        Expr::Trim { trim_where, .. } => named(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::Overlay { .. } => named("overlay"),
        Expr::Ceil { .. } => named("ceil"),
        Expr::Floor { .. } => named("floor"),
        Expr::AtTimeZone { .. } => named("timezone"),
        _ => None,
    }
}

/// A type as a name: its last word without a length, `numeric` of `pg_catalog.numeric(18,2)`.
fn type_title(data_type: &str) -> Option<String> {
    let name = data_type.split(['(', ' ']).next()?.rsplit('.').next()?;
    let name = match name.to_ascii_lowercase().as_str() {
        "int" | "integer" => "int4".to_owned(),
        "bigint" => "int8".to_owned(),
        "smallint" => "int2".to_owned(),
        "real" => "float4".to_owned(),
        "double" | "float" => "float8".to_owned(),
        "boolean" => "bool".to_owned(),
        "decimal" => "numeric".to_owned(),
        other => other.to_owned(),
    };
    Some(name)
}

/// The name of a subquery's one column.
fn first_title(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    match select.projection.first()? {
        SelectItem::UnnamedExpr(expr) => title(expr),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// The name that is there several times, where one is.
pub(crate) fn repeated(schema: &Schema) -> Option<String> {
    let marked = schema.fields().iter().find(|field| field.name().contains(MARK))?;
    marked.name().split(MARK).next().map(str::to_owned)
}

/// The columns with the names that were asked for.
pub(crate) fn shown(schema: &SchemaRef) -> SchemaRef {
    if repeated(schema).is_none() {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| {
        let name = field.name().split(MARK).next().unwrap_or_default();
        Field::clone(field).with_name(name)
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<Field>>(),
        schema.metadata().clone(),
    ))
}

/// The rows under those names.
pub(crate) fn rows_shown(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = shown(&rows.schema());
    if schema == rows.schema() {
        return rows;
    }
    let renamed = Arc::clone(&schema);
    let rows = rows.and_then(move |batch| {
        let batch = RecordBatch::try_new(Arc::clone(&renamed), batch.columns().to_vec());
        std::future::ready(batch.map_err(Into::into))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use crate::syntax::Statement;

    fn check(select: &str, expected: &str) {
        let parsed = parse::parse(select, "").unwrap().remove(0);
        let Statement::Query(question) = parsed.statement else {
            panic!("{select}: no question");
        };
        let mut query = question.query;
        give(&mut query);
        let SetExpr::Select(select) = query.body.as_ref() else {
            panic!("{query}: no SELECT");
        };
        let names = select.projection.iter().map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.replace(MARK, "#"),
            other => format!("={other}"),
        });
        assert_eq!(names.collect::<Vec<String>>().join(" "), expected, "{query}");
    }

    #[test]
    fn values_are_called_as_postgres_calls_them() {
        check("SELECT a, t.b, \"C\" FROM t", "=a =t.b =\"C\"");
        check("SELECT 1, 'x', 2 + 3", "?column? ?column?#1 ?column?#2");
        check("SELECT count(*), sum(a), Upper(b)", "count sum upper");
        check(
            "SELECT a::text, 1::int, '1'::numeric(5,2), DATE '2025-01-01'",
            "a int4 numeric date",
        );
        check("SELECT CASE WHEN a THEN 1 END, CASE WHEN a THEN 1 ELSE b END", "case b");
        check("SELECT (SELECT max(x) FROM t), EXISTS (SELECT 1)", "max exists");
        check("SELECT a, a, t.a, a AS x, b AS x", "=a a#1 =t.a x x#4");
        check("SELECT *, count(*) OVER (), current_user", "=* count current_user");
        check("SELECT extract(year FROM d), (a), -a", "extract a ?column?");
        check(
            "SELECT trim(LEADING FROM a), trim(TRAILING 'x' FROM a), trim(a), trim(FROM a)",
            "ltrim rtrim btrim btrim#3",
        );
    }
}

//! A table's name where a value stands is its row: `row_to_json(t)`, `json_agg(s) FROM (SELECT …) AS s`, `SELECT t FROM t`.
//!
//! The query engine knows no such values: the row is written as a struct of the columns that `*` shows. A column of that name is meant first. In a definition
//! it is not there: its columns would be others when the table has others.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, Expr, Ident, JoinOperator, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};

use super::relations::last;
use crate::postgres::{call, stored_name};

/// Writes them out. `shown`: the columns that `*` shows of a stream or view; empty where there is none.
pub(super) fn written_out(query: &mut Query, shown: &dyn Fn(&str) -> Vec<String>) {
    // Nearly always none is meant, and then nobody need know what the tables have.
    let mut words = Words::default();
    let _ = query.visit(&mut words);
    if words.tables.is_disjoint(&words.values) {
        return;
    }
    let mut rows = Rows {
        shown,
        named: Vec::new(),
        scopes: Vec::new(),
        is_qualifier: false,
    };
    let _ = query.visit(&mut rows);
}

/// What tables and values of a query are called.
#[derive(Default)]
struct Words {
    tables: HashSet<String>,
    values: HashSet<String>,
}

impl VisitorMut for Words {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, .. } => (last(name), alias),
            TableFactor::Derived { alias, .. } => (None, alias),
            _ => return ControlFlow::Continue(()),
        };
        let called = alias.as_ref().map(|alias| alias.name.value.clone());
        self.tables.extend(called.or(name));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            self.values.insert(name.value.clone());
        }
        ControlFlow::Continue(())
    }
}

struct Rows<'a> {
    shown: &'a dyn Fn(&str) -> Vec<String>,
    /// What WITH defines, with its columns where they are known; the innermost last.
    named: Vec<(String, Option<Vec<String>>)>,
    /// The tables of each SELECT around the place, the innermost last.
    scopes: Vec<Scope>,
    /// Whether what comes next stands before a point: `t` of `t.list[1]`.
    is_qualifier: bool,
}

#[derive(Default)]
struct Scope {
    tables: Vec<Table>,
    /// What the SELECT list calls its values, which GROUP BY may mean.
    aliases: Vec<String>,
    /// Whether a row may be made of nothing.
    is_outer: bool,
}

struct Table {
    name: Ident,
    columns: Option<Vec<String>>,
}

impl VisitorMut for Rows<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = self.renamed(Some(&cte.alias), self.columns_of(&cte.query));
            self.named.push((cte.alias.name.value.clone(), columns));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let own = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        self.named.truncate(self.named.len() - own);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let scope = self.scope(select);
        self.scopes.push(scope);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
                && let Some(row) = self.row(name)
            {
                let alias = name.clone();
                *item = SelectItem::ExprWithAlias { expr: row, alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_qualifier = std::mem::take(&mut self.is_qualifier);
        match expr {
            Expr::Identifier(name) if !is_qualifier => {
                if let Some(row) = self.row(name) {
                    *expr = row;
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let is_name = matches!(root.as_ref(), Expr::Identifier(_));
                self.is_qualifier = is_name && matches!(access_chain.first(), Some(AccessExpr::Dot(_)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Rows<'_> {
    /// The row that a name means at this place; `None` where it means something else.
    fn row(&self, name: &Ident) -> Option<Expr> {
        for scope in self.scopes.iter().rev() {
            let is_column = |table: &Table| {
                let mut columns = table.columns.iter().flatten();
                columns.any(|column| *column == name.value)
            };
            if scope.aliases.contains(&name.value) || scope.tables.iter().any(is_column) {
                return None;
            }
            let table = scope.tables.iter().find(|table| table.name.value == name.value);
            if let Some(table) = table {
                return Some(as_struct(&table.name, table.columns.as_ref()?, scope.is_outer));
            }
        }
        None
    }

    fn scope(&self, select: &Select) -> Scope {
        let mut scope = Scope::default();
        for from in &select.from {
            scope.tables.extend(self.table(&from.relation));
            for join in &from.joins {
                scope.tables.extend(self.table(&join.relation));
                scope.is_outer |= !matches!(
                    join.join_operator,
                    JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
                );
            }
        }
        let aliases = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        });
        scope.aliases = aliases.collect();
        scope
    }

    fn table(&self, factor: &TableFactor) -> Option<Table> {
        let (name, alias, columns) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let called = last(name)?;
                let defined = self.named.iter().rev().find(|(known, _)| *known == called);
                let columns = match defined {
                    Some((_, columns)) => columns.clone(),
                    None => Some((self.shown)(&stored_name(name))).filter(|columns| !columns.is_empty()),
                };
                (Ident::with_quote('"', called), alias, columns)
            }
            TableFactor::Derived { alias, subquery, .. } => {
                (alias.as_ref()?.name.clone(), alias, self.columns_of(subquery))
            }
            TableFactor::Table { alias, .. } | TableFactor::UNNEST { alias, .. } => {
                (alias.as_ref()?.name.clone(), alias, None)
            }
            _ => return None,
        };
        Some(Table {
            columns: self.renamed(alias.as_ref(), columns),
            name: alias.as_ref().map_or(name, |alias| alias.name.clone()),
        })
    }

    /// Columns with the names that an alias gives them, from the first one on.
    fn renamed(&self, alias: Option<&TableAlias>, columns: Option<Vec<String>>) -> Option<Vec<String>> {
        let given: Vec<String> = alias
            .iter()
            .flat_map(|alias| &alias.columns)
            .map(|column| column.name.value.clone())
            .collect();
        match columns {
            Some(columns) => {
                let rest = columns.into_iter().skip(given.len());
                Some(given.iter().cloned().chain(rest).collect())
            }
            None => Some(given).filter(|given| !given.is_empty()),
        }
    }

    /// The columns of a query; `None` where they are not known.
    fn columns_of(&self, query: &Query) -> Option<Vec<String>> {
        self.columns_of_body(&query.body)
    }

    fn columns_of_body(&self, body: &SetExpr) -> Option<Vec<String>> {
        let select = match body {
            SetExpr::Select(select) => select,
            SetExpr::Query(query) => return self.columns_of(query),
            SetExpr::SetOperation { left, .. } => return self.columns_of_body(left),
            SetExpr::Values(values) => {
                let count = values.rows.first()?.len();
                return Some((1..=count).map(|place| format!("column{place}")).collect());
            }
            _ => return None,
        };
        let mut columns: Vec<String> = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => columns.push(alias.value.clone()),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => columns.push(name.value.clone()),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => columns.push(names.last()?.value.clone()),
                SelectItem::Wildcard(_) => {
                    for table in self.scope(select).tables {
                        columns.extend(table.columns?);
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let name = last(name)?;
                    let tables = self.scope(select).tables;
                    let table = tables.into_iter().find(|table| table.name.value == name)?;
                    columns.extend(table.columns?);
                }
                _ => return None,
            }
        }
        Some(columns)
    }
}

/// The columns of a table as one value; where a row may be made of nothing, that is NULL.
fn as_struct(table: &Ident, columns: &[String], is_outer: bool) -> Expr {
    let column = |name: &String| Expr::CompoundIdentifier(vec![table.clone(), Ident::with_quote('"', name)]);
    let name = |name: &String| Expr::value(Value::SingleQuotedString(name.clone()));
    let row = call(
        "named_struct",
        columns.iter().flat_map(|of| [name(of), column(of)]).collect(),
    );
    let is_there = columns.iter().map(|of| Expr::IsNotNull(Box::new(column(of))));
    let is_there = is_there.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    });
    match is_there.filter(|_| is_outer) {
        Some(condition) => Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition, result: row }],
            else_result: None,
        },
        None => row,
    }
}

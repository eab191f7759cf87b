//! Where a command's parameters stand in its expressions and queries: they become `$1`, `$2`, …
//!
//! `command.parameter` always means the parameter. A bare `parameter` means it outside of queries, and in a query where no table of that query, or of
//! one around it, has a column of that name. Where one has, the name could mean either, and is refused, as PL/pgSQL does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    TableWithJoins, Value, VisitMut, VisitorMut,
};
use headwater_sql::{SqlError, SqlState};

use crate::call::compile::place;

/// Says which columns a stream or view has.
pub(crate) type Columns<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Puts `$n` where parameters stand.
pub(crate) fn substitute<V: VisitMut>(
    part: &mut V,
    command: &str,
    parameters: &[String],
    columns: Columns<'_>,
) -> Result<(), SqlError> {
    let mut substitution = Substitution {
        command,
        parameters,
        columns,
        ctes: Vec::new(),
        levels: Vec::new(),
        aside: Vec::new(),
        orders: Vec::new(),
    };
    match part.visit(&mut substitution) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// What names of columns can mean in a SELECT.
#[derive(Default)]
struct Level {
    /// The columns of its tables, each with the name of its table.
    columns: BTreeMap<String, String>,
    /// In ORDER BY, the columns that it gives: they are meant before any others.
    given: BTreeSet<String>,
}

struct Substitution<'a> {
    command: &'a str,
    parameters: &'a [String],
    columns: Columns<'a>,
    /// Name and columns of each WITH, innermost last.
    ctes: Vec<Vec<(String, Vec<String>)>>,
    /// Of each SELECT around, innermost last.
    levels: Vec<Level>,
    /// The levels of SELECTs whose tables are being looked at: a query among them sees none of the others.
    aside: Vec<Level>,
    /// The ORDER BY of each query around, which was looked at before the rest.
    orders: Vec<Option<OrderBy>>,
}

/// What a name in an expression means.
enum Meaning<'a> {
    /// The parameter of this place.
    Parameter(usize),
    /// A parameter, or a column of this table.
    Either(&'a Ident, &'a str),
    /// No parameter.
    Other,
}

impl VisitorMut for Substitution<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.ctes.push(Vec::new());
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let renamed = cte.alias.columns.iter().map(|column| column.name.value.clone());
            let columns = match cte.alias.columns.is_empty() {
                true => self.query_columns(&cte.query),
                false => renamed.collect(),
            };
            if let Some(scope) = self.ctes.last_mut() {
                scope.push((cte.alias.name.value.clone(), columns));
            }
        }
        // It sees the columns of the SELECT, which is not around it any more.
        let mut order = query.order_by.take();
        let columns = match query.body.as_ref() {
            SetExpr::Select(select) => self.columns_of_from(&select.from),
            _ => Vec::new(),
        };
        self.levels.push(Level {
            columns: columns.into_iter().collect(),
            given: self.body_columns(&query.body).into_iter().collect(),
        });
        order.visit(self)?;
        self.levels.pop();
        self.orders.push(order);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        query.order_by = self.orders.pop().flatten();
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        self.levels.push(Level {
            columns: self.columns_of_from(&select.from).into_iter().collect(),
            given: BTreeSet::new(),
        });
        for item in &mut select.projection {
            // The column keeps the name it would have had.
            if let SelectItem::UnnamedExpr(expr) = item
                && let Meaning::Parameter(index) = self.meaning(expr)
            {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::new(&self.parameters[index]),
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<SqlError> {
        self.levels.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            self.aside.extend(self.levels.last_mut().map(std::mem::take));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Derived { lateral: false, .. } = factor
            && let (Some(level), Some(own)) = (self.levels.last_mut(), self.aside.pop())
        {
            *level = own;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match self.meaning(expr) {
            Meaning::Parameter(index) => {
                *expr = Expr::Value(Value::Placeholder(format!("${}", index + 1)).into());
            }
            Meaning::Either(name, table) => return ControlFlow::Break(self.ambiguous(name, table)),
            Meaning::Other => {}
        }
        ControlFlow::Continue(())
    }
}

impl Substitution<'_> {
    /// What an expression means, where it is a name.
    fn meaning<'e>(&'e self, expr: &'e Expr) -> Meaning<'e> {
        let place_of = |name: &Ident| self.parameters.iter().position(|parameter| *parameter == name.value);
        match expr {
            Expr::Identifier(name) => {
                let Some(index) = place_of(name) else {
                    return Meaning::Other;
                };
                if self.levels.iter().any(|level| level.given.contains(&name.value)) {
                    return Meaning::Other;
                }
                let mut tables = self
                    .levels
                    .iter()
                    .rev()
                    .filter_map(|level| level.columns.get(&name.value));
                match tables.next() {
                    Some(table) => Meaning::Either(name, table),
                    None => Meaning::Parameter(index),
                }
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [command, name] if command.value == self.command => {
                    place_of(name).map_or(Meaning::Other, Meaning::Parameter)
                }
                _ => Meaning::Other,
            },
            _ => Meaning::Other,
        }
    }

    fn ambiguous(&self, name: &Ident, table: &str) -> SqlError {
        let (name, span, command) = (&name.value, &name.span, self.command);
        let message = format!(
            "column reference \"{name}\" is ambiguous: it could be the parameter (or LET) of '{command}', or a column"
        );
        let hint = match table.is_empty() {
            true => format!(
                "write {command}.{name} for the parameter, or give the query behind FROM a name, and write that before the column's"
            ),
            false => format!("write {command}.{name} for the parameter, {table}.{name} for the column"),
        };
        SqlError::new(SqlState::AMBIGUOUS, message).hint(hint).at(place(span))
    }

    /// The columns of tables, each with the name by which its table is called.
    fn columns_of_from(&self, from: &[TableWithJoins]) -> Vec<(String, String)> {
        let mut columns: Vec<(String, String)> = Vec::new();
        for table in from {
            columns.extend(self.table_columns(&table.relation));
            for join in &table.joins {
                columns.extend(self.table_columns(&join.relation));
            }
        }
        columns
    }

    fn table_columns(&self, factor: &TableFactor) -> Vec<(String, String)> {
        let alias = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref(),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                return self.columns_of_from(std::slice::from_ref(table_with_joins));
            }
            _ => return Vec::new(),
        };
        let (name, mut columns) = match factor {
            TableFactor::Table { name, .. } => {
                let parts = name.0.iter().filter_map(|part| part.as_ident());
                let parts: Vec<&str> = parts.map(|ident| ident.value.as_str()).collect();
                let name = parts.join(".");
                let name = name.strip_prefix("public.").unwrap_or(&name).to_owned();
                let cte = self.ctes.iter().rev().flatten().find(|(cte, _)| *cte == name);
                let columns = cte.map_or_else(|| (self.columns)(&name), |(_, columns)| columns.clone());
                (name, columns)
            }
            TableFactor::Derived { subquery, .. } => (String::new(), self.query_columns(subquery)),
            _ => (String::new(), Vec::new()),
        };
        // The first ones may be called otherwise.
        let renamed = alias.iter().flat_map(|alias| &alias.columns);
        for (column, renamed) in columns.iter_mut().zip(renamed) {
            column.clone_from(&renamed.name.value);
        }
        let table = alias.map_or(name, |alias| alias.name.value.clone());
        columns.into_iter().map(|column| (column, table.clone())).collect()
    }

    /// The names of the columns that a query gives.
    fn query_columns(&self, query: &Query) -> Vec<String> {
        self.body_columns(&query.body)
    }

    fn body_columns(&self, body: &SetExpr) -> Vec<String> {
        let select = match body {
            SetExpr::Select(select) => select,
            SetExpr::Query(query) => return self.query_columns(query),
            SetExpr::SetOperation { left, .. } => return self.body_columns(left),
            _ => return Vec::new(),
        };
        let mut columns: Vec<String> = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => columns.push(ident.value.clone()),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                    columns.extend(parts.last().map(|ident| ident.value.clone()));
                }
                SelectItem::ExprWithAlias { alias, .. } => columns.push(alias.value.clone()),
                SelectItem::Wildcard(_) => columns.extend(names(self.columns_of_from(&select.from))),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _) => {
                    columns.extend(names(self.columns_of_from(&select.from)));
                }
                _ => {}
            }
        }
        columns
    }
}

fn names(columns: Vec<(String, String)>) -> impl Iterator<Item = String> {
    columns.into_iter().map(|(column, _)| column)
}

#[cfg(test)]
mod tests {
    use headwater_sql::parse::parse;
    use headwater_sql::syntax::Statement;

    use super::*;

    fn check(query: &str, expected: &str) {
        let parsed = parse(query, "").expect("the query parses").remove(0);
        let Statement::Query(mut question) = parsed.statement else {
            panic!("{query} is no query")
        };
        let parameters = ["account".to_owned(), "amount".to_owned()];
        let columns = |table: &str| match table {
            "balances" => vec!["account".to_owned(), "balance".to_owned()],
            _ => vec!["other".to_owned()],
        };
        match substitute(&mut question.query, "withdraw", &parameters, &columns) {
            Ok(()) => assert_eq!(question.query.to_string(), expected, "{query}"),
            Err(error) => assert_eq!(error.hint.as_deref(), Some(expected), "{query}: {error}"),
        }
    }

    #[test]
    fn parameters_stand_where_no_column_hides_them() {
        check("SELECT account, amount + 1", "SELECT $1 AS account, $2 + 1");
        check("SELECT withdraw.amount", "SELECT $2 AS amount");
        check(
            "SELECT (SELECT balance FROM balances AS b WHERE b.account = withdraw.account) >= amount",
            "SELECT (SELECT balance FROM balances AS b WHERE b.account = $1) >= $2",
        );
        check(
            "SELECT balance FROM balances WHERE balance > amount",
            "SELECT balance FROM balances WHERE balance > $2",
        );
        check(
            "SELECT (SELECT max(amount) FROM things) FROM balances",
            "SELECT (SELECT max($2) FROM things) FROM balances",
        );
        check(
            "SELECT t.account FROM (SELECT amount AS account FROM things) AS t",
            "SELECT t.account FROM (SELECT $2 AS account FROM things) AS t",
        );
        check(
            "WITH t AS (SELECT 1 AS amount) SELECT t.amount, account FROM t",
            "WITH t AS (SELECT 1 AS amount) SELECT t.amount, $1 AS account FROM t",
        );
        check("VALUES (account, 1), (amount, 2)", "VALUES ($1, 1), ($2, 2)");
    }

    #[test]
    fn a_name_that_could_be_a_column_is_refused() {
        let account = "write withdraw.account for the parameter, balances.account for the column";
        check("SELECT balance FROM balances WHERE account = 'a'", account);
        check("SELECT balance FROM balances WHERE balances.account = account", account);
        check("SELECT account FROM balances", account);
        check("SELECT balance FROM balances ORDER BY account", account);
        check(
            "SELECT (SELECT max(other) FROM things WHERE account = 'a') FROM balances",
            account,
        );
        check(
            "SELECT balance FROM balances AS b WHERE b.account = account",
            "write withdraw.account for the parameter, b.account for the column",
        );
        check(
            "SELECT other FROM things AS t (amount) WHERE amount > 1",
            "write withdraw.amount for the parameter, t.amount for the column",
        );
        check(
            "WITH t (amount) AS (SELECT 1) SELECT 1 FROM t WHERE amount > 0",
            "write withdraw.amount for the parameter, t.amount for the column",
        );
        check(
            "SELECT 1 FROM (SELECT b.balance AS amount FROM balances AS b) WHERE amount > 0",
            "write withdraw.amount for the parameter, or give the query behind FROM a name, and write that before the column's",
        );
        // What a query gives is meant by its own ORDER BY; what stands beside a query in FROM is not seen in there.
        check(
            "SELECT b.balance AS amount FROM balances AS b ORDER BY amount",
            "SELECT b.balance AS amount FROM balances AS b ORDER BY amount",
        );
        check(
            "SELECT t.account FROM (SELECT account) AS t ORDER BY t.account",
            "SELECT t.account FROM (SELECT $1 AS account) AS t ORDER BY t.account",
        );
        check(
            "SELECT balance FROM balances LIMIT amount",
            "SELECT balance FROM balances LIMIT $2",
        );
    }
}

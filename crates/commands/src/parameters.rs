//! Where a command's parameters stand in its expressions and queries: they become `$1`, `$2`, …
//!
//! `command.parameter` always means the parameter. A bare `parameter` means it outside of queries, and in a query only where
//! no table of that query, or of one around it, has a column of that name.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins,
    Value, VisitMut, VisitorMut,
};

/// Says which columns a stream or view has.
pub(crate) type Columns<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Puts `$n` where parameters stand.
pub(crate) fn substitute<V: VisitMut>(part: &mut V, command: &str, parameters: &[String], columns: Columns<'_>) {
    let mut substitution = Substitution {
        command,
        parameters,
        columns,
        ctes: Vec::new(),
        levels: Vec::new(),
    };
    let _ = part.visit(&mut substitution);
}

struct Substitution<'a> {
    command: &'a str,
    parameters: &'a [String],
    columns: Columns<'a>,
    /// Name and columns of each WITH, innermost last.
    ctes: Vec<Vec<(String, Vec<String>)>>,
    /// The columns of the tables of each SELECT around, innermost last.
    levels: Vec<HashSet<String>>,
}

impl VisitorMut for Substitution<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.ctes.push(Vec::new());
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = self.query_columns(&cte.query);
            if let Some(scope) = self.ctes.last_mut() {
                scope.push((cte.alias.name.value.clone(), columns));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let columns: HashSet<String> = self.columns_of_from(&select.from).into_iter().collect();
        self.levels.push(columns);
        for item in &mut select.projection {
            // The column keeps the name it would have had.
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some(name) = self.named(expr).cloned()
            {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::new(name),
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.levels.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(name) = self.named(expr)
            && let Some(index) = self.parameters.iter().position(|parameter| parameter == name)
        {
            *expr = Expr::Value(Value::Placeholder(format!("${}", index + 1)).into());
        }
        ControlFlow::Continue(())
    }
}

impl Substitution<'_> {
    /// The parameter that an expression names.
    fn named(&self, expr: &Expr) -> Option<&String> {
        let name = match expr {
            Expr::Identifier(ident) if !self.levels.iter().any(|level| level.contains(&ident.value)) => &ident.value,
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [command, name] if command.value == self.command => &name.value,
                _ => return None,
            },
            _ => return None,
        };
        self.parameters.iter().find(|parameter| *parameter == name)
    }

    fn columns_of_from(&self, from: &[TableWithJoins]) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for table in from {
            columns.extend(self.table_columns(&table.relation));
            for join in &table.joins {
                columns.extend(self.table_columns(&join.relation));
            }
        }
        columns
    }

    fn table_columns(&self, factor: &TableFactor) -> Vec<String> {
        let renamed = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref(),
            _ => None,
        };
        if let Some(alias) = renamed
            && !alias.columns.is_empty()
        {
            return alias.columns.iter().map(|column| column.name.value.clone()).collect();
        }
        match factor {
            TableFactor::Table { name, .. } => {
                let parts: Vec<&str> = name
                    .0
                    .iter()
                    .filter_map(|part| part.as_ident())
                    .map(|ident| ident.value.as_str())
                    .collect();
                let name = parts.join(".");
                let name = name.strip_prefix("public.").unwrap_or(&name);
                let cte = self.ctes.iter().rev().flatten().find(|(cte, _)| cte == name);
                cte.map_or_else(|| (self.columns)(name), |(_, columns)| columns.clone())
            }
            TableFactor::Derived { subquery, .. } => self.query_columns(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.columns_of_from(std::slice::from_ref(table_with_joins))
            }
            _ => Vec::new(),
        }
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
                SelectItem::Wildcard(_) => columns.extend(self.columns_of_from(&select.from)),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _) => {
                    columns.extend(self.columns_of_from(&select.from));
                }
                _ => {}
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use headwater_sql::parse::parse;
    use headwater_sql::statement::Statement;

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
        substitute(&mut question.query, "withdraw", &parameters, &columns);
        assert_eq!(question.query.to_string(), expected, "{query}");
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
            "SELECT balance FROM balances WHERE account = 'a'",
            "SELECT balance FROM balances WHERE account = 'a'",
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
            "SELECT account FROM (SELECT amount AS account FROM things) AS t",
            "SELECT account FROM (SELECT $2 AS account FROM things) AS t",
        );
        check(
            "WITH t AS (SELECT 1 AS amount) SELECT amount, account FROM t",
            "WITH t AS (SELECT 1 AS amount) SELECT amount, $1 AS account FROM t",
        );
        check("VALUES (account, 1), (amount, 2)", "VALUES ($1, 1), ($2, 2)");
    }
}

//! Whether a definition reads a column: what its statement asks for, and not which words stand in it.
//!
//! Where a name may be that of the column or of something else (a parameter, what ORDER BY calls so), it counts as the column.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint, ObjectName, Select,
    TableFactor, TableWithJoins, Visitor,
};
use headwater_catalog::Definition;
use headwater_views::CHANGES_OF;

use crate::SqlError;
use crate::inner::Inner;
use crate::parse;
use crate::postgres::stored_name;
use crate::question::{constraint, parts};

/// Whether a definition may read a column of a stream or view.
pub(crate) fn reads(inner: &Inner, reader: &Definition, source: &str, column: &str) -> Result<bool, SqlError> {
    let text = reader.meaning();
    match reader {
        Definition::Graph(_) => return Ok(parse::words(text)?.contains(column)),
        Definition::Stream(stream) if stream.pipeline.is_none() => return Ok(false),
        _ => {}
    }
    let parsed = inner.parsed(text)?;
    let mut relations = Relations {
        source,
        own: Vec::new(),
        others: Vec::new(),
    };
    let _ = parts::visit(&parsed.statement, &mut relations);
    let mut columns = Columns { relations, column };
    Ok(parts::visit(&parsed.statement, &mut columns).is_break())
}

/// What the relations of a statement are called.
struct Relations<'a> {
    source: &'a str,
    /// Those that are the source, or may show its columns.
    own: Vec<String>,
    others: Vec<String>,
}

impl Visitor for Relations<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, .. } => (Some(name), alias),
            TableFactor::Derived { alias, .. } => (None, alias),
            _ => return ControlFlow::Continue(()),
        };
        let called = alias.as_ref().map(|alias| alias.name.value.clone());
        let Some(called) = called.or_else(|| name.map(stored_name)) else {
            return ControlFlow::Continue(());
        };
        let is_own = match factor {
            TableFactor::Table { name, args: None, .. } => {
                let name = stored_name(name);
                name.strip_prefix(CHANGES_OF).unwrap_or(&name) == self.source
            }
            // A function over it.
            TableFactor::Table { .. } => true,
            _ => false,
        };
        match is_own {
            true => self.own.push(called),
            false => self.others.push(called),
        }
        ControlFlow::Continue(())
    }
}

/// Stops at the first place that asks for the column.
struct Columns<'a> {
    relations: Relations<'a>,
    column: &'a str,
}

impl Visitor for Columns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        stop_if(match expr {
            Expr::Identifier(name) => self.is_asked(name),
            Expr::CompoundIdentifier(names) => self.is_asked_among(names),
            Expr::Function(function) => self.takes_rows(function),
            _ => false,
        })
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        stop_if(select.from.iter().any(|table| self.is_joined_by(table)))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        stop_if(match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => self.is_joined_by(table_with_joins),
            _ => false,
        })
    }
}

impl Columns<'_> {
    /// By its name, or with all of its row.
    fn is_asked(&self, name: &Ident) -> bool {
        name.value == self.column || self.relations.own.contains(&name.value)
    }

    fn is_asked_among(&self, names: &[Ident]) -> bool {
        let Some((qualifier, rest)) = names.split_first() else {
            return false;
        };
        let of = |called: &[String]| called.contains(&qualifier.value);
        let (is_own, is_other) = (of(&self.relations.own), of(&self.relations.others));
        let is_column = |name: &Ident| name.value == self.column;
        // Else it is a column, and what follows is a part of it; or the name of a stream has parts.
        let is_unknown = !is_own && !is_other && names.iter().any(is_column);
        (is_own && rest.iter().any(is_column)) || is_unknown
    }

    /// Whether a function takes the rows of a relation whole.
    fn takes_rows(&self, function: &Function) -> bool {
        let FunctionArguments::List(list) = &function.args else {
            return false;
        };
        list.args.iter().any(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => self.is_own(name),
            _ => false,
        })
    }

    fn is_own(&self, name: &ObjectName) -> bool {
        self.relations.own.contains(&stored_name(name))
    }

    fn is_joined_by(&self, table: &TableWithJoins) -> bool {
        let mut constraints = table.joins.iter().filter_map(|join| constraint(&join.join_operator));
        constraints.any(|constraint| match constraint {
            JoinConstraint::Using(columns) => columns.iter().any(|name| stored_name(name) == self.column),
            JoinConstraint::Natural => true,
            JoinConstraint::On(_) | JoinConstraint::None => false,
        })
    }
}

fn stop_if(is_found: bool) -> ControlFlow<()> {
    match is_found {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

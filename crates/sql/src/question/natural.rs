//! What NATURAL means in a definition: the columns that both sides had when it was made. A column that comes later on both sides changes nothing of the join.
//!
//! ```text
//! FROM a NATURAL LEFT JOIN b AS c      FROM a LEFT JOIN b AS c USING ("id")
//! ```
//!
//! Beside a subquery, whose columns stand in the definition itself, it stays as it is written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, Join, JoinConstraint, Query, Select, TableFactor, TableWithJoins, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::parts;
use super::relations::{constraint, defined_by_with, last};
use super::star::own_columns;
use crate::SqlError;
use crate::inner::Inner;
use crate::parse::{Natural, joined_by};
use crate::postgres::stored_name;

/// The text of a definition with the columns of each NATURAL; `None` where it has none.
pub(super) fn spelled_out(inner: &Inner, text: &str) -> Result<Option<String>, SqlError> {
    let mut joins = Joins {
        inner,
        ctes: Vec::new(),
        found: Vec::new(),
    };
    if let ControlFlow::Break(error) = parts::visit(&inner.parsed(text)?.statement, &mut joins) {
        return Err(error);
    }
    match joins.found.is_empty() {
        true => Ok(None),
        false => joined_by(text, &joins.found).map(Some),
    }
}

struct Joins<'a> {
    inner: &'a Inner,
    /// The names that WITH defines, innermost last: they hide streams and views.
    ctes: Vec<Vec<String>>,
    found: Vec<Natural>,
}

impl Visitor for Joins<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        self.ctes.push(defined_by_with(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<SqlError> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlError> {
        for table in select.from.iter().filter(|table| has_natural(table)) {
            if let Err(error) = self.joined(table) {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Joins<'_> {
    /// Looks for NATURAL among joins; gives the columns of all that they join, where those are known.
    fn joined(&mut self, table: &TableWithJoins) -> Result<Option<Vec<String>>, SqlError> {
        let mut columns = self.columns(&table.relation)?;
        for join in &table.joins {
            let right = self.columns(&join.relation)?;
            let is_natural = matches!(constraint(&join.join_operator), Some(JoinConstraint::Natural));
            let Some(mut left) = columns.take() else { continue };
            let Some(right) = right else { continue };
            if is_natural && let Some((at, end)) = places(&join.relation) {
                let common = left.iter().filter(|column| right.contains(column));
                let columns: Vec<String> = common.cloned().collect();
                self.found.push(Natural { at, end, columns });
            }
            let new = right.into_iter().filter(|column| !left.contains(column));
            let new: Vec<String> = new.collect();
            left.extend(new);
            columns = Some(left);
        }
        Ok(columns)
    }

    fn columns(&mut self, factor: &TableFactor) -> Result<Option<Vec<String>>, SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let is_of_with = last(name).is_some_and(|name| self.ctes.iter().flatten().any(|cte| *cte == name));
                let is_renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                match is_of_with || is_renamed {
                    true => Ok(None),
                    false => own_columns(self.inner, &stored_name(name)).map(Some),
                }
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.joined(table_with_joins),
            _ => Ok(None),
        }
    }
}

fn has_natural(table: &TableWithJoins) -> bool {
    let is_natural = |join: &Join| matches!(constraint(&join.join_operator), Some(JoinConstraint::Natural));
    let within = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => has_natural(table_with_joins),
        _ => false,
    };
    within(&table.relation)
        || table
            .joins
            .iter()
            .any(|join| is_natural(join) || within(&join.relation))
}

/// Where the name of a joined table begins, and where its last word does.
fn places(factor: &TableFactor) -> Option<(Location, Location)> {
    let TableFactor::Table { name, alias, .. } = factor else {
        return None;
    };
    let word = |ident: &Ident| ident.span.start;
    let first = name.0.first()?.as_ident().map(word)?;
    let last = name.0.last()?.as_ident().map(word)?;
    Some((first, alias.as_ref().map_or(last, |alias| word(&alias.name))))
}

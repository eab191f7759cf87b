//! What `*` means in a definition: the columns that were there when it was made, in the order of then.
//!
//! They are put in its place once, and kept with the definition (`spelled_out`): a column that comes later, or another order of a view's
//! columns, changes nothing of what the definition makes, also not after a restart. So are the columns of NATURAL. A `*` over a subquery stays: what is in there is spelled out.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Visitor,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use headwater_catalog::Definition;
use headwater_views::CHANGES_OF;
use headwater_views::decode::SYSTEM_COLUMNS;

use super::relations::{Relation, defined_by_with, is_wild, relations};
use super::{column_names, natural, parts, view_columns, view_spec};
use crate::inner::Inner;
use crate::parse::{Star, spelled_out};
use crate::postgres::stored_name;
use crate::{SqlError, SqlState};

/// The statement of a definition with columns in the place of each `*`; `None` where it has none. One that says what it said before means what it meant.
pub(crate) fn meaning(inner: &Inner, text: &str, existing: Option<&Definition>) -> Result<Option<String>, SqlError> {
    match existing {
        Some(existing) if existing.statement() == text => {
            let meaning = existing.meaning();
            Ok((meaning != text).then(|| meaning.to_owned()))
        }
        _ => of_today(inner, text),
    }
}

fn of_today(inner: &Inner, text: &str) -> Result<Option<String>, SqlError> {
    let joined = natural::spelled_out(inner, text)?;
    let text = joined.as_deref().unwrap_or(text);
    let mut stars = Stars {
        inner,
        ctes: Vec::new(),
        counted: Vec::new(),
        found: Vec::new(),
    };
    if let ControlFlow::Break(error) = parts::visit(&inner.parsed(text)?.statement, &mut stars) {
        return Err(error);
    }
    if stars.found.is_empty() {
        return Ok(joined);
    }
    let spelled_out = spelled_out(text, &stars.found)?;
    // A limit that it goes beyond is told now.
    inner.parsed(&spelled_out)?;
    Ok(Some(spelled_out))
}

struct Stars<'a> {
    inner: &'a Inner,
    /// The names that WITH defines, innermost last: they hide streams and views.
    ctes: Vec<Vec<String>>,
    /// Those of `EXISTS (SELECT * …)`, which ask for no column.
    counted: Vec<Location>,
    found: Vec<Star>,
}

impl Visitor for Stars<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        self.ctes.push(defined_by_with(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<SqlError> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        if let Expr::Exists { subquery, .. } = expr
            && let SetExpr::Select(select) = subquery.body.as_ref()
        {
            let stars = select.projection.iter().filter_map(options);
            self.counted.extend(stars.map(location));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlError> {
        match self.spell_out(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Stars<'_> {
    fn spell_out(&mut self, select: &Select) -> Result<(), SqlError> {
        if !select.projection.iter().any(is_wild) {
            return Ok(());
        }
        let relations = relations(&select.from, &self.ctes)?;
        for item in &select.projection {
            let Some(options) = options(item).filter(|options| !self.counted.contains(&location(options))) else {
                continue;
            };
            let columns = match item {
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let named = relations.iter().find(|relation| relation.is_called(name));
                    // Beside a name all columns are shown, also those of USING.
                    named.map(|relation| self.columns(relation, &[])).transpose()?.flatten()
                }
                SelectItem::Wildcard(_) => self.columns_of_all(&relations)?,
                _ => None,
            };
            if let Some(columns) = columns {
                self.found.push(Star {
                    at: location(options),
                    columns,
                });
            }
        }
        Ok(())
    }

    /// What `*` over these shows; `None` where that follows from subqueries.
    fn columns_of_all(&self, relations: &[Relation]) -> Result<Option<String>, SqlError> {
        if relations.iter().all(|relation| relation.table.is_none()) {
            return Ok(None);
        }
        // A column of USING is one column of all that it joins, and stands by itself: those of the last USING first.
        let mut joined: Vec<&String> = Vec::new();
        for relation in relations {
            joined.retain(|column| !relation.using.contains(column));
            joined.splice(0..0, &relation.using);
        }
        let mut all: Vec<String> = joined.into_iter().map(|column| quoted(column)).collect();
        for (place, relation) in relations.iter().enumerate() {
            let shown: Vec<String> = relations[place..]
                .iter()
                .flat_map(|later| later.using.clone())
                .collect();
            let columns = match self.columns(relation, &shown)? {
                Some(columns) => columns,
                None => all_of(relation, &shown)?,
            };
            all.push(columns);
        }
        all.retain(|columns| !columns.is_empty());
        Ok(Some(all.join(", ")))
    }

    /// The columns of one relation, but those that are shown already; `None` where it is no stream or view.
    fn columns(&self, relation: &Relation, shown: &[String]) -> Result<Option<String>, SqlError> {
        let (Some(table), Some(qualifier)) = (&relation.table, &relation.qualifier) else {
            return Ok(None);
        };
        let names = own_columns(self.inner, table)?.into_iter();
        let column = |name: String| format!("{}.{}", called(qualifier), quoted(&name));
        let columns: Vec<String> = names.filter(|name| !shown.contains(name)).map(column).collect();
        Ok(Some(columns.join(", ")))
    }
}

/// All columns of a subquery beside a stream or view; `joined` are those that stand by themselves.
fn all_of(relation: &Relation, joined: &[String]) -> Result<String, SqlError> {
    match &relation.qualifier {
        Some(qualifier) if joined.is_empty() => Ok(format!("{}.*", called(qualifier))),
        _ => {
            let message = "in a definition `*` cannot stand for a stream or view together with a subquery that has no name or is joined by USING";
            Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the columns"))
        }
    }
}

/// The columns that `*` over a stream, a view or its changes shows now: as it is defined, whatever is being built.
pub(super) fn own_columns(inner: &Inner, table: &str) -> Result<Vec<String>, SqlError> {
    let name = table.strip_prefix(CHANGES_OF).unwrap_or(table);
    if inner.catalog.stream(name).is_some() {
        let columns = column_names(inner, name).into_iter();
        return Ok(columns
            .filter(|name| !SYSTEM_COLUMNS.contains(&name.as_str()))
            .collect());
    }
    let columns = match inner.catalog.get(name).as_deref() {
        Some(Definition::View(view)) if view.shape.is_some() => {
            let spec = view_spec(inner, view)?;
            Arc::clone(spec.plan.schema().inner())
        }
        _ => view_columns(inner, name)?.0,
    };
    Ok(columns.fields().iter().map(|field| field.name().clone()).collect())
}

fn options(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => Some(options),
        _ => None,
    }
}

fn location(options: &WildcardAdditionalOptions) -> Location {
    options.wildcard_token.0.span.start
}

/// What qualifies the columns of a relation.
fn called(qualifier: &ObjectName) -> String {
    quoted(&stored_name(qualifier))
}

fn quoted(name: &str) -> String {
    Ident::with_quote('"', name).to_string()
}

//! `SELECT *` over a stream means its own columns: the system columns (`_offset`, …) are there by name only.
//!
//! The wildcard is rewritten before planning, while it is still known which relation is a stream:
//! `*` over one relation gets an EXCEPT list, over several it becomes `a.*, b.*` with such lists.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, ExcludeSelectItem, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::relations::{Relation, defined_by_with, is_wild, last, relations};
use crate::{SqlError, SqlState};

/// Rewrites every wildcard of the query that covers a stream.
pub(super) fn leave_out_system_columns(
    query: &mut Query,
    hidden: &dyn Fn(&str) -> &'static [&'static str],
) -> Result<(), SqlError> {
    let mut rewriter = Rewriter {
        hidden,
        ctes: Vec::new(),
    };
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The columns of a relation that `*` does not show.
type Hidden = &'static [&'static str];

struct Rewriter<'a> {
    /// The columns of a table that `*` does not show.
    hidden: &'a dyn Fn(&str) -> Hidden,
    /// The names that WITH defines, innermost last: they hide streams.
    ctes: Vec<Vec<String>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.ctes.push(defined_by_with(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        match self.rewrite(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewriter<'_> {
    fn rewrite(&self, select: &mut Select) -> Result<(), SqlError> {
        if !select.projection.iter().any(is_wild) {
            return Ok(());
        }
        let relations = relations(&select.from, &self.ctes)?;
        let relations: Vec<(Relation, Hidden)> = relations
            .into_iter()
            .map(|relation| self.with_hidden(relation))
            .collect();
        if relations.iter().all(|(_, hidden)| hidden.is_empty()) {
            return Ok(());
        }
        let mut items: Vec<SelectItem> = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) => expand(&relations, options, &mut items)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let named = relations.iter().find(|(relation, _)| relation.is_called(&name));
                    let hidden = named.map_or(&[][..], |(_, hidden)| hidden);
                    let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                    items.push(SelectItem::QualifiedWildcard(
                        kind,
                        without(options, hidden.iter().copied()),
                    ));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        Ok(())
    }

    fn with_hidden(&self, relation: Relation) -> (Relation, Hidden) {
        let hidden = relation.table.as_deref().map_or(&[][..], self.hidden);
        (relation, hidden)
    }
}

/// What `*` over these relations shows.
fn expand(
    relations: &[(Relation, Hidden)],
    options: WildcardAdditionalOptions,
    items: &mut Vec<SelectItem>,
) -> Result<(), SqlError> {
    if let [(_, hidden)] = relations {
        items.push(SelectItem::Wildcard(without(options, hidden.iter().copied())));
        return Ok(());
    }
    if options != WildcardAdditionalOptions::default() && has_lists(&options) {
        let message = "'*' with a list of exceptions over several tables, one of them a stream, is not supported";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the columns"));
    }
    for (relation, hidden) in relations {
        let Some(qualifier) = &relation.qualifier else {
            let message = "'*' over a stream and a table without a name is not supported";
            return Err(
                SqlError::new(SqlState::NOT_SUPPORTED, message).hint("give the subquery a name: (SELECT …) AS name")
            );
        };
        let hidden = hidden.iter().copied().chain(relation.using.iter().map(String::as_str));
        let kind = SelectItemQualifiedWildcardKind::ObjectName(qualifier.clone());
        items.push(SelectItem::QualifiedWildcard(
            kind,
            without(WildcardAdditionalOptions::default(), hidden),
        ));
    }
    Ok(())
}

fn has_lists(options: &WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
}

/// The options with more columns left out; one that the question leaves out itself is named once.
pub(super) fn without<'a>(
    mut options: WildcardAdditionalOptions,
    hidden: impl Iterator<Item = &'a str>,
) -> WildcardAdditionalOptions {
    let mut named: Vec<String> = Vec::new();
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => named.extend(last(name)),
        Some(ExcludeSelectItem::Multiple(names)) => named.extend(names.iter().filter_map(last)),
        None => {}
    }
    let mut except: Vec<Ident> = match options.opt_except.take() {
        Some(list) => std::iter::once(list.first_element)
            .chain(list.additional_elements)
            .collect(),
        None => Vec::new(),
    };
    named.extend(except.iter().map(|ident| ident.value.clone()));
    except.extend(
        hidden
            .filter(|column| !named.iter().any(|name| name == column))
            .map(Ident::new),
    );
    let mut except = except.into_iter();
    options.opt_except = except.next().map(|first_element| ExceptSelectItem {
        first_element,
        additional_elements: except.collect(),
    });
    options
}

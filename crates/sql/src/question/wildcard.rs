//! `SELECT *` over a stream means its own columns: the system columns (`_offset`, …) are there by name only.
//!
//! The wildcard is rewritten before planning, while it is still known which relation is a stream:
//! `*` over one relation gets an EXCEPT list, over several it becomes `a.*, b.*` with such lists.

use std::ops::ControlFlow;

use crate::postgres::stored_name;
use crate::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, ExcludeSelectItem, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};

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

struct Rewriter<'a> {
    /// The columns of a table that `*` does not show.
    hidden: &'a dyn Fn(&str) -> &'static [&'static str],
    /// The names that WITH defines, innermost last: they hide streams.
    ctes: Vec<Vec<String>>,
}

/// One relation of a FROM, as a wildcard sees it.
struct Relation {
    /// How its columns are qualified; `None` where it has no name.
    qualifier: Option<ObjectName>,
    /// The columns that `*` does not show.
    hidden: &'static [&'static str],
    /// The columns of `USING`, shown once, by the relation before.
    using: Vec<String>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let names = query
            .with
            .iter()
            .flat_map(|with| &with.cte_tables)
            .map(|cte| cte.alias.name.value.clone());
        self.ctes.push(names.collect());
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
        let wild = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if !select.projection.iter().any(wild) {
            return Ok(());
        }
        let mut relations: Vec<Relation> = Vec::new();
        for table in &select.from {
            self.relations(table, &mut relations)?;
        }
        if relations.iter().all(|relation| relation.hidden.is_empty()) {
            return Ok(());
        }
        let mut items: Vec<SelectItem> = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) => expand(&relations, options, &mut items)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let named = relations
                        .iter()
                        .find(|relation| relation.qualifier.as_ref().is_some_and(|own| same(own, &name)));
                    let hidden = named.map_or(&[][..], |relation| relation.hidden);
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

    fn relations(&self, table: &TableWithJoins, relations: &mut Vec<Relation>) -> Result<(), SqlError> {
        self.relation(&table.relation, Vec::new(), relations)?;
        for join in &table.joins {
            let using = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(columns)) => columns.iter().filter_map(last).collect(),
                Some(JoinConstraint::Natural) => {
                    let message = "NATURAL JOIN would also compare the system columns of streams";
                    return Err(
                        SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the columns with USING or ON")
                    );
                }
                _ => Vec::new(),
            };
            self.relation(&join.relation, using, relations)?;
        }
        Ok(())
    }

    fn relation(
        &self,
        factor: &TableFactor,
        using: Vec<String>,
        relations: &mut Vec<Relation>,
    ) -> Result<(), SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let qualifier = alias.as_ref().map_or_else(|| name.clone(), |alias| bare(&alias.name));
                let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                relations.push(Relation {
                    qualifier: Some(qualifier),
                    hidden: if renamed { &[] } else { self.hidden_of(name) },
                    using,
                });
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.relations(table_with_joins, relations)?,
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => {
                let qualifier = alias.as_ref().map(|alias| bare(&alias.name));
                relations.push(Relation {
                    qualifier,
                    hidden: &[],
                    using,
                });
            }
            _ => relations.push(Relation {
                qualifier: None,
                hidden: &[],
                using,
            }),
        }
        Ok(())
    }

    fn hidden_of(&self, name: &ObjectName) -> &'static [&'static str] {
        let parts: Vec<&str> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| ident.value.as_str())
            .collect();
        match parts.as_slice() {
            [table] if self.ctes.iter().flatten().any(|cte| cte == table) => &[],
            _ => (self.hidden)(&stored_name(name)),
        }
    }
}

/// What `*` over these relations shows.
fn expand(
    relations: &[Relation],
    options: WildcardAdditionalOptions,
    items: &mut Vec<SelectItem>,
) -> Result<(), SqlError> {
    if let [only] = relations {
        items.push(SelectItem::Wildcard(without(options, only.hidden.iter().copied())));
        return Ok(());
    }
    if options != WildcardAdditionalOptions::default() && has_lists(&options) {
        let message = "'*' with a list of exceptions over several tables, one of them a stream, is not supported";
        return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the columns"));
    }
    for relation in relations {
        let Some(qualifier) = &relation.qualifier else {
            let message = "'*' over a stream and a table without a name is not supported";
            return Err(
                SqlError::new(SqlState::NOT_SUPPORTED, message).hint("give the subquery a name: (SELECT …) AS name")
            );
        };
        let hidden = relation
            .hidden
            .iter()
            .copied()
            .chain(relation.using.iter().map(String::as_str));
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

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn bare(name: &Ident) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(name.clone())])
}

fn last(name: &ObjectName) -> Option<String> {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .map(|ident| ident.value.clone())
}

/// Whether two names are spelled the same, wherever they stand.
fn same(one: &ObjectName, other: &ObjectName) -> bool {
    let parts = |name: &ObjectName| -> Vec<Option<String>> {
        name.0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.clone()))
            .collect()
    };
    parts(one) == parts(other)
}

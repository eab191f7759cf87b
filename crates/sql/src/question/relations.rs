//! The relations of a FROM, as a `*` sees them: what each is called, and which table of the catalog it is.

use datafusion::sql::sqlparser::ast::{
    Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, SelectItem, TableFactor, TableWithJoins,
};

use crate::postgres::stored_name;
use crate::{SqlError, SqlState};

/// One relation.
pub(super) struct Relation {
    /// How its columns are qualified; `None` where it has no name.
    pub(super) qualifier: Option<ObjectName>,
    /// The name of the stream or view that it is, where its columns are called as they are there.
    pub(super) table: Option<String>,
    /// The columns of `USING`, shown once, by the relation before.
    pub(super) using: Vec<String>,
}

impl Relation {
    /// Whether its columns are qualified so.
    pub(super) fn is_called(&self, name: &ObjectName) -> bool {
        self.qualifier.as_ref().is_some_and(|own| same(own, name))
    }
}

/// Whether it stands for columns.
pub(super) fn is_wild(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The names that WITH defines in a query: they hide streams and views.
pub(super) fn defined_by_with(query: &Query) -> Vec<String> {
    let tables = query.with.iter().flat_map(|with| &with.cte_tables);
    tables.map(|cte| cte.alias.name.value.clone()).collect()
}

/// The relations of a FROM. `ctes` are the names that WITH defines around it.
pub(super) fn relations(from: &[TableWithJoins], ctes: &[Vec<String>]) -> Result<Vec<Relation>, SqlError> {
    let mut relations: Vec<Relation> = Vec::new();
    for table in from {
        joined(table, ctes, &mut relations)?;
    }
    Ok(relations)
}

/// The last part of a name.
pub(super) fn last(name: &ObjectName) -> Option<String> {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(|ident| ident.value.clone())
}

fn joined(table: &TableWithJoins, ctes: &[Vec<String>], relations: &mut Vec<Relation>) -> Result<(), SqlError> {
    relation(&table.relation, Vec::new(), ctes, relations)?;
    for join in &table.joins {
        let using = match constraint(&join.join_operator) {
            Some(JoinConstraint::Using(columns)) => columns.iter().filter_map(last).collect(),
            Some(JoinConstraint::Natural) => {
                let message = "NATURAL JOIN would also compare the system columns of streams";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the columns with USING or ON"));
            }
            _ => Vec::new(),
        };
        relation(&join.relation, using, ctes, relations)?;
    }
    Ok(())
}

fn relation(
    factor: &TableFactor,
    using: Vec<String>,
    ctes: &[Vec<String>],
    relations: &mut Vec<Relation>,
) -> Result<(), SqlError> {
    let (qualifier, table) = match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => return joined(table_with_joins, ctes, relations),
        TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } => {
            let qualifier = alias.as_ref().map_or_else(|| name.clone(), |alias| bare(&alias.name));
            let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
            (Some(qualifier), if renamed { None } else { table(name, ctes) })
        }
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => (alias.as_ref().map(|alias| bare(&alias.name)), None),
        _ => (None, None),
    };
    relations.push(Relation {
        qualifier,
        table,
        using,
    });
    Ok(())
}

/// The name of a stream or view, where WITH defines nothing so.
fn table(name: &ObjectName, ctes: &[Vec<String>]) -> Option<String> {
    let parts: Vec<&str> = (name.0.iter())
        .filter_map(|part| part.as_ident())
        .map(|ident| ident.value.as_str())
        .collect();
    match parts.as_slice() {
        [table] if ctes.iter().flatten().any(|cte| cte == table) => None,
        _ => Some(stored_name(name)),
    }
}

/// How a join finds its pairs, where that is said: one list of the kinds of joins, for who looks and for who writes.
macro_rules! constraint_of {
    ($operator:expr) => {
        match $operator {
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
    };
}

pub(crate) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    constraint_of!(operator)
}

pub(super) fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    constraint_of!(operator)
}

fn bare(name: &Ident) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(name.clone())])
}

/// Whether two names are spelled the same, wherever they stand.
fn same(one: &ObjectName, other: &ObjectName) -> bool {
    let parts = |name: &ObjectName| -> Vec<Option<String>> {
        (name.0.iter())
            .map(|part| part.as_ident().map(|ident| ident.value.clone()))
            .collect()
    };
    parts(one) == parts(other)
}

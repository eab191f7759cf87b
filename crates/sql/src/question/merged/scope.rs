//! What can be named at a place of a FROM: its tables, and the columns of theirs that are one.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinOperator, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, TableFactor,
    Value, WildcardAdditionalOptions,
};

use crate::postgres::{call, stored_name};
use crate::question::wildcard::without;

/// How columns of tables are found.
pub(super) struct Tables<'a> {
    /// The columns that `*` shows of a table; none where there is no such table.
    pub(super) columns: &'a dyn Fn(&str) -> Vec<String>,
    /// The names that WITH defines: they hide tables.
    pub(super) names: Vec<String>,
}

/// A column that is one of several tables.
#[derive(Clone)]
pub(super) struct Merged {
    pub(super) column: String,
    /// What it is.
    pub(super) value: Expr,
}

/// Which side's value a column has that both sides have.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
    Either,
}

/// The tables that stand on one side of a join.
pub(super) struct Scope {
    tables: Vec<Table>,
    pub(super) merged: Vec<Merged>,
    /// In which order `*` shows them.
    order: Vec<Shown>,
}

struct Table {
    qualifier: ObjectName,
    /// Its name, where it is not one of WITH or a query of its own.
    stored: Option<String>,
    /// The columns that are shown as one with others.
    apart: Vec<String>,
}

enum Shown {
    Merged(String),
    /// What is left of a table, by its qualifier.
    Rest(ObjectName),
}

impl Merged {
    pub(super) fn shown(&self) -> SelectItem {
        SelectItem::ExprWithAlias {
            expr: self.value.clone(),
            alias: quoted(&self.column),
        }
    }
}

impl Scope {
    /// A table by itself; `None` where it has no name.
    pub(super) fn of(factor: &TableFactor, tables: &Tables<'_>) -> Option<Scope> {
        let (qualifier, stored) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let is_of_with = last(name).is_some_and(|name| tables.names.contains(&name));
                let is_renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                let stored = (!is_of_with && !is_renamed).then(|| stored_name(name));
                let own = alias.as_ref().map(|alias| ObjectName::from(vec![alias.name.clone()]));
                (own.unwrap_or_else(|| name.clone()), stored)
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                let alias = alias.as_ref()?;
                (ObjectName::from(vec![alias.name.clone()]), None)
            }
            _ => return None,
        };
        Some(Scope {
            order: vec![Shown::Rest(qualifier.clone())],
            tables: vec![Table {
                qualifier,
                stored,
                apart: Vec::new(),
            }],
            merged: Vec::new(),
        })
    }

    /// Takes the tables of the right side of a join; gives the condition of the join.
    pub(super) fn join(&mut self, right: Scope, columns: &[String], side: Side, tables: &Tables<'_>) -> Option<Expr> {
        let mut condition: Option<Expr> = None;
        let mut merged: Vec<Merged> = Vec::new();
        for column in columns {
            let (left, right) = (self.value(column, tables)?, right.value(column, tables)?);
            let equal = binary(left.clone(), BinaryOperator::Eq, right.clone());
            condition = Some(match condition {
                Some(others) => binary(others, BinaryOperator::And, equal),
                None => equal,
            });
            merged.push(Merged {
                column: column.clone(),
                value: match side {
                    Side::Left => left,
                    Side::Right => right,
                    Side::Either => call("coalesce", vec![left, right]),
                },
            });
        }
        let is_apart = |shown: &Shown| matches!(shown, Shown::Merged(column) if columns.contains(column));
        let mut order: Vec<Shown> = columns.iter().cloned().map(Shown::Merged).collect();
        order.extend(
            std::mem::take(&mut self.order)
                .into_iter()
                .filter(|shown| !is_apart(shown)),
        );
        order.extend(right.order.into_iter().filter(|shown| !is_apart(shown)));
        self.order = order;
        self.merged.retain(|merged| !columns.contains(&merged.column));
        self.merged.extend(right.merged);
        self.merged.extend(merged);
        self.tables.extend(right.tables);
        for table in &mut self.tables {
            // A table that has no such column is without it as it is.
            let has = |column: &String| match table.columns(tables) {
                Some(known) => known.contains(column),
                None => true,
            };
            let apart: Vec<String> = columns
                .iter()
                .filter(|column| !table.apart.contains(column) && has(column))
                .cloned()
                .collect();
            table.apart.extend(apart);
        }
        Some(condition.unwrap_or_else(|| Expr::value(Value::Boolean(true))))
    }

    /// The columns that both sides have, in the order of the left one.
    pub(super) fn common(&self, right: &Scope, tables: &Tables<'_>) -> Option<Vec<String>> {
        let others = right.columns(tables)?;
        let columns = self.columns(tables)?.into_iter();
        Some(columns.filter(|column| others.contains(column)).collect())
    }

    /// What `*` shows of it.
    pub(super) fn shown(&self) -> Vec<SelectItem> {
        let item = |shown: &Shown| match shown {
            Shown::Merged(column) => self
                .merged
                .iter()
                .find(|merged| merged.column == *column)
                .map(Merged::shown),
            Shown::Rest(qualifier) => {
                let table = self.tables.iter().find(|table| table.qualifier == *qualifier)?;
                let kind = SelectItemQualifiedWildcardKind::ObjectName(qualifier.clone());
                let options = without(
                    WildcardAdditionalOptions::default(),
                    table.apart.iter().map(String::as_str),
                );
                Some(SelectItem::QualifiedWildcard(kind, options))
            }
        };
        self.order.iter().filter_map(item).collect()
    }

    pub(super) fn columns(&self, tables: &Tables<'_>) -> Option<Vec<String>> {
        let mut columns: Vec<String> = Vec::new();
        for shown in &self.order {
            match shown {
                Shown::Merged(column) => columns.push(column.clone()),
                Shown::Rest(qualifier) => {
                    let table = self.tables.iter().find(|table| table.qualifier == *qualifier)?;
                    let own = table.columns(tables)?.into_iter();
                    columns.extend(own.filter(|column| !table.apart.contains(column)));
                }
            }
        }
        Some(columns)
    }

    /// What a column is on this side; `None` where it is not known, or of several tables.
    pub(super) fn value(&self, column: &str, tables: &Tables<'_>) -> Option<Expr> {
        if let Some(merged) = self.merged.iter().find(|merged| merged.column == column) {
            return Some(merged.value.clone());
        }
        let table = match self.tables.as_slice() {
            [only] => only,
            several => {
                let mut having = None;
                for table in several {
                    if table.columns(tables)?.iter().any(|own| own == column) && having.replace(table).is_some() {
                        return None;
                    }
                }
                having?
            }
        };
        let qualifier = table.qualifier.0.iter().filter_map(|part| part.as_ident().cloned());
        Some(Expr::CompoundIdentifier(qualifier.chain([quoted(column)]).collect()))
    }
}

impl Table {
    fn columns(&self, tables: &Tables<'_>) -> Option<Vec<String>> {
        let columns = (tables.columns)(self.stored.as_ref()?);
        (!columns.is_empty()).then_some(columns)
    }
}

/// Whose value the columns have that both sides have.
pub(super) fn side(operator: &JoinOperator) -> Option<Side> {
    match operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_)
        | JoinOperator::CrossJoin(_) => Some(Side::Left),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Some(Side::Right),
        JoinOperator::FullOuter(_) => Some(Side::Either),
        _ => None,
    }
}

pub(super) fn last(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(|name| name.value.clone())
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

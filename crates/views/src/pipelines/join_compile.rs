//! From a logical join to a [`Join`]: an event finds its row by the whole key of the view.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{self, BinaryExpr, Expr, LogicalPlan, Operator};

use super::compile::{Compiling, failed, name_of};
use super::join::Join;
use super::refuse::refused;
use super::spec::CHANGES_OF;
use crate::query::physical;
use crate::{View, ViewError};

/// Compiles a join whose left side is compiled already.
pub(super) fn join(compiling: &Compiling<'_>, join: &logical_expr::Join) -> Result<Join, ViewError> {
    let is_outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        other => {
            return Err(refused(
                format!("a {} JOIN", other.to_string().to_uppercase()),
                "an event finds its row in a view: write FROM stream JOIN view or FROM stream LEFT JOIN view",
            ));
        }
    };
    let view = view_of(compiling, &join.right)?;
    let name = view.definition().name.clone();
    let pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let mut terms: Vec<Expr> = pairs.collect();
    terms.extend(join.filter.iter().cloned().flat_map(split_conjunction_owned));
    let (left, right) = (join.left.schema(), join.right.schema());
    let output = view.schema();
    let key_names: Vec<&str> = view
        .key_columns()
        .iter()
        .map(|at| output.field(*at).name().as_str())
        .collect();
    if key_names.is_empty() {
        return Err(refused(
            format!("a join with the view '{name}', whose rows do not show their key,"),
            "let the view select its key, too",
        ));
    }
    let key_types: Vec<DataType> = view
        .key_columns()
        .iter()
        .map(|at| output.field(*at).data_type().clone())
        .collect();
    let mut keys = Vec::with_capacity(key_names.len());
    for key in &key_names {
        let Some(found) = terms.iter().find_map(|term| Equality::of(term, key, left, right)) else {
            return Err(refused(
                format!("a join with the view '{name}' that does not say what its {key} is,"),
                &format!("join it by its whole key: ON {}", all_of(&name, &key_names)),
            ));
        };
        if found.is_exact {
            terms.retain(|term| *term != found.term);
        }
        keys.push(physical(compiling.session, &found.value, left).map_err(failed)?);
    }
    let residual = terms.into_iter().reduce(Expr::and);
    let residual = residual.map(|rest| physical(compiling.session, &rest, &join.schema));
    let sorts = key_types
        .iter()
        .map(|key_type| SortField::new(key_type.clone()))
        .collect();
    Ok(Join {
        view: name,
        is_outer,
        keys,
        converter: RowConverter::new(sorts).map_err(|error| failed(error.into()))?,
        key_types,
        residual: residual.transpose().map_err(failed)?,
        left_columns: left.fields().len(),
        schema: Arc::new(join.schema.as_arrow().clone()),
    })
}

fn all_of(view: &str, keys: &[&str]) -> String {
    let terms: Vec<String> = keys.iter().map(|key| format!("{view}.{key} = …")).collect();
    terms.join(" AND ")
}

/// The view that the right side of a join is.
fn view_of(compiling: &Compiling<'_>, plan: &LogicalPlan) -> Result<Arc<View>, ViewError> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => view_of(compiling, &alias.input),
        LogicalPlan::TableScan(scan) => {
            let name = name_of(&scan.table_name);
            if name.starts_with(CHANGES_OF) {
                return Err(refused(
                    "a join with the changes of a view",
                    "begin with them: FROM CHANGES OF view JOIN another",
                ));
            }
            if (compiling.is_stream)(&name) {
                return Err(refused(
                    format!("a join with the stream '{name}'"),
                    "fold the stream into a view, and join that: it has one row for each key",
                ));
            }
            (compiling.views)(&name)
                .ok_or_else(|| ViewError::Failed(format!("the view '{name}' does not run: SHOW VIEWS says why")))
        }
        _ => Err(refused(
            "a join with a query",
            "join a materialized view by its name, and leave what else is wanted to ON and WHERE",
        )),
    }
}

/// A term of a join's condition that says what a column of the view's key is.
struct Equality {
    term: Expr,
    /// What it is, over the events.
    value: Expr,
    /// Whether the columns are compared as they are. Where one is brought to another type first, the term is looked at once more.
    is_exact: bool,
}

impl Equality {
    fn of(term: &Expr, key: &str, left: &DFSchema, right: &DFSchema) -> Option<Equality> {
        let Expr::BinaryExpr(BinaryExpr {
            left: one,
            op: Operator::Eq,
            right: other,
        }) = term
        else {
            return None;
        };
        let of = |own: &Expr, value: &Expr| {
            let column = uncast(own);
            let is_key = matches!(column, Expr::Column(column) if column.name == key && is_of(column, right, left));
            let is_event = value.column_refs().iter().all(|column| is_of(column, left, right));
            (is_key && is_event).then(|| Equality {
                term: term.clone(),
                value: value.clone(),
                is_exact: column == own,
            })
        };
        of(one, other).or_else(|| of(other, one))
    }
}

/// Whether a column is this side's and not the other's.
fn is_of(column: &Column, own: &DFSchema, other: &DFSchema) -> bool {
    own.has_column(column) && !(column.relation.is_none() && other.has_column(column))
}

/// An expression without what brings it to another type.
fn uncast(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => uncast(&cast.expr),
        Expr::TryCast(cast) => uncast(&cast.expr),
        other => other,
    }
}

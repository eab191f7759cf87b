//! One row of a materialized view, looked up by its whole key, and one value made of it. Where the view has but one row, that is the empty key.
//!
//! ```text
//! (SELECT balance FROM balances b WHERE b.account = $1 AND b.is_open)
//!         value       view          key               filters
//! ```

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, TableScan};
use headwater_views::{GroupKey, View};

use super::environment::{Environment, Physical, column, holds, of_type, placed, row, value};
use crate::SqlError;
use crate::tables::ViewTable;

/// A compiled lookup.
pub(super) struct Lookup {
    /// The view's name.
    pub(super) name: String,
    /// The view, as it was when this was compiled.
    pub(super) view: Arc<View>,
    /// The key, column by column, over the environment.
    pub(super) key: Vec<Physical>,
    pub(super) key_types: Vec<DataType>,
    /// What must hold of the row besides its key.
    pub(super) filters: Vec<Physical>,
    /// What the query selects; `None` where only the row's existence is asked.
    pub(super) value: Option<Physical>,
    /// The environment, and behind it the row's columns.
    pub(super) schema: SchemaRef,
}

/// The query of a lookup, taken apart.
pub(super) struct Parts<'a> {
    pub(super) selects: &'a [Expr],
    pub(super) filters: Vec<&'a Expr>,
    pub(super) scan: &'a TableScan,
}

/// Takes a query apart that filters one table and shows something of its rows; `None` where it does more.
pub(super) fn take_apart(plan: &LogicalPlan) -> Option<Parts<'_>> {
    let (selects, mut plan) = match plan {
        LogicalPlan::Projection(projection) => (projection.expr.as_slice(), projection.input.as_ref()),
        _ => return None,
    };
    let mut filters: Vec<&Expr> = Vec::new();
    loop {
        match plan {
            LogicalPlan::Filter(filter) => {
                filters.push(&filter.predicate);
                plan = &filter.input;
            }
            LogicalPlan::SubqueryAlias(alias) => plan = &alias.input,
            LogicalPlan::TableScan(scan) if scan.fetch.is_none() && scan.filters.is_empty() => {
                return Some(Parts { selects, filters, scan });
            }
            _ => return None,
        }
    }
}

impl Lookup {
    /// Compiles a query, where it is a lookup; `None` where it is anything else. `of_value`: its one column is wanted, not only whether there is a row.
    pub(super) fn new(
        state: &SessionState,
        environment: &Environment,
        plan: &LogicalPlan,
        of_value: bool,
    ) -> Result<Option<Lookup>> {
        let Some(parts) = take_apart(plan) else { return Ok(None) };
        let Some(view) = ViewTable::scanned(parts.scan) else {
            return Ok(None);
        };
        let rows = view.schema();
        let lists: Vec<&str> = view
            .list_columns()
            .map(|list| rows.field(list).name().as_str())
            .collect();
        let reads_list = |expr: &&Expr| expr.column_refs().iter().any(|column| lists.contains(&column.name()));
        if parts
            .selects
            .iter()
            .chain(parts.filters.iter().copied())
            .any(|expr| reads_list(&expr))
        {
            // Elements of lists are not among what is found fast.
            return Ok(None);
        }
        let mut inside = environment.clone();
        for field in rows.fields() {
            inside.add(row_column(field.name()), field.data_type().clone());
        }
        let key_part = |expr: &Expr, key_type: &DataType| fixed(state, environment, expr, key_type);
        let filter = |expr: &Expr| {
            let expr = placed(expr, in_row)?;
            expr.map(|expr| inside.physical(state, expr)).transpose()
        };
        let Some((key, filters)) = told_apart(&parts.filters, &view, key_part, filter)? else {
            return Ok(None);
        };
        let value = match parts.selects {
            [select] if of_value => match placed(select, in_row)? {
                Some(expr) => Some(inside.physical(state, expr)?),
                None => return Ok(None),
            },
            _ if of_value => return Ok(None),
            _ => None,
        };
        let key_types = view
            .key_columns()
            .iter()
            .map(|place| rows.field(*place).data_type().clone());
        Ok(Some(Lookup {
            name: view.definition().name.clone(),
            key,
            key_types: key_types.collect(),
            filters,
            value,
            schema: inside.schema(),
            view,
        }))
    }

    /// The type of what comes of it.
    pub(super) fn data_type(&self) -> Result<DataType> {
        match &self.value {
            Some(value) => value.data_type(&self.schema),
            None => Ok(DataType::Boolean),
        }
    }

    /// The key, for an environment; `None` where a part of it is NULL, which no row's key equals.
    pub(super) fn key(&self, environment: &RecordBatch) -> Result<Option<GroupKey>> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.key.len());
        for (expr, data_type) in self.key.iter().zip(&self.key_types) {
            let found = expr.evaluate(environment)?.into_array(1)?;
            if found.logical_null_count() > 0 {
                return Ok(None);
            }
            columns.push(of_type(&found, data_type)?);
        }
        let key = self.view.key_of(&columns).map_err(SqlError::from)?;
        Ok(Some(key))
    }

    /// What comes of it, for the row that was found. Without a row, or where a filter does not hold, a value is NULL and existence false;
    /// whether there is a row comes with it.
    pub(super) fn value(&self, environment: &RecordBatch, found: Option<&RecordBatch>) -> Result<(ScalarValue, bool)> {
        let absent = || match self.value {
            Some(_) => Ok((ScalarValue::try_from(&self.data_type()?)?, false)),
            None => Ok((ScalarValue::Boolean(Some(false)), false)),
        };
        let Some(found) = found.filter(|found| found.num_rows() == 1) else {
            return absent();
        };
        let mut columns: Vec<ArrayRef> = environment.columns().to_vec();
        columns.extend(found.columns().iter().cloned());
        let row = row(&self.schema, columns)?;
        for filter in &self.filters {
            if !holds(filter, &row)? {
                return absent();
            }
        }
        Ok(match &self.value {
            Some(expr) => (value(expr, &row)?, true),
            None => (ScalarValue::Boolean(Some(true)), true),
        })
    }
}

/// Tells what fixes the columns of a view's key, one for each, from what else must hold; `None` where not all are fixed, or something cannot be
/// worked out. `key_part` makes something of what a column of the key is compared with, where that can fix a column of the type.
pub(super) fn told_apart<K>(
    filters: &[&Expr],
    view: &View,
    key_part: impl Fn(&Expr, &DataType) -> Result<Option<K>>,
    filter: impl Fn(&Expr) -> Result<Option<Physical>>,
) -> Result<Option<(Vec<K>, Vec<Physical>)>> {
    let rows = view.schema();
    let mut key: Vec<Option<K>> = view.key_columns().iter().map(|_| None).collect();
    let mut others: Vec<Physical> = Vec::new();
    for conjunct in filters.iter().copied().flat_map(split_conjunction) {
        if let Some((place, expr)) = key_of(conjunct, view)
            && key[place].is_none()
            && let Some(part) = key_part(expr, rows.field(view.key_columns()[place]).data_type())?
        {
            key[place] = Some(part);
            continue;
        }
        let Some(other) = filter(conjunct)? else {
            return Ok(None);
        };
        others.push(other);
    }
    let key = key.into_iter().collect::<Option<Vec<K>>>();
    // Where a row does not show its key, no column of it fixes that.
    Ok(key
        .filter(|key| !key.is_empty() || view.has_one_row())
        .map(|key| (key, others)))
}

/// An expression over the environment that a column of the key is compared with, where equal values have equal keys.
pub(super) fn fixed(
    state: &SessionState,
    environment: &Environment,
    expr: &Expr,
    key_type: &DataType,
) -> Result<Option<Physical>> {
    let Some(expr) = placed(expr, |_| Ok(None))? else {
        return Ok(None);
    };
    let expr = environment.physical(state, expr)?;
    let given = expr.data_type(&environment.schema())?;
    Ok(is_same(&given, key_type).then_some(expr))
}

/// A column of the view's row, in the row of the environment.
pub(super) fn row_column(name: &str) -> String {
    format!("row.{name}")
}

/// A column of the scanned table as one of the row of the environment.
pub(super) fn in_row(expr: &Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::Column(found) => Some(column(&row_column(&found.name))),
        _ => None,
    })
}

/// The key column that a condition fixes, by its place in the key, and what it is compared with.
fn key_of<'a>(conjunct: &'a Expr, view: &View) -> Option<(usize, &'a Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = conjunct
    else {
        return None;
    };
    let (column, other) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), other) | (other, Expr::Column(column)) => (column, other),
        _ => return None,
    };
    let schema = view.schema();
    let place = view
        .key_columns()
        .iter()
        .position(|index| *schema.field(*index).name() == column.name)?;
    Some((place, other))
}

/// Whether values of one type are equal exactly where they are as keys of the other: floats never are, 0.0 and -0.0 are equal and have different keys.
pub(super) fn is_same(given: &DataType, key: &DataType) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let is_float = matches!(key, DataType::Float16 | DataType::Float32 | DataType::Float64);
    !is_float && (given == key || (is_text(given) && is_text(key)))
}

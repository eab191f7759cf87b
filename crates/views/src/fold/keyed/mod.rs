//! `KEY (…)`: one row a key, the newest.
//!
//! A query with KEY makes a row of each event; of the rows of one key the newest stays, by the order of events (see [`crate::order`]), and a
//! tombstone that is newer leaves none. That is an aggregate like others: its state is the newest row with its place, or no row with the place of
//! a tombstone, and of two states the newer one stays.
//!
//! ```text
//! Projection      id, name, city                        the columns as they were written
//!   Filter        newest IS NOT NULL                    a tombstone leaves no row
//!     Aggregate   id: last(row, place) AS newest
//!       Union
//!         Projection  id, {name, city} AS row, place
//!           the query as written
//!         Projection  id, NULL AS row, place
//!           TableScan tombstones of the stream
//! ```
//!
//! A place is kept as long as the row is. That of a tombstone, too, until nothing older can come (see [`crate::rows::gone`]): partitions are folded at
//! different speeds, and an older event of the key that is folded later must find that it is older.

mod row;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Projection, TableSource, Union, lit,
};
use headwater_catalog::ViewDefinition;

use crate::decode::SYSTEM_COLUMNS;
use crate::fold::lateral::beside;
use crate::order::{by_position, carry, last, narrowed, place_column, streams_read};
use crate::query::{Source, refused_but};

/// The column that holds the rest of a row besides its key.
const ROW: &str = "_headwater_row";

/// The tombstones of a stream, as a view's query reads them.
pub struct Tombstones {
    /// The table of [`crate::decode::StreamDecoder::of_tombstones`].
    pub table: Arc<dyn TableSource>,
    /// Whether a tombstone is a row of the stream, too, with a `value` that is NULL.
    pub are_rows: bool,
}

/// A materialized view's query as it is folded, from its plan as it was written: KEY, and first and last values, by the order of events.
/// `tombstones` gives those of a stream, and nothing for what is no stream. A refusal is a [`crate::ViewError`] inside of the engine's error.
pub fn as_folded(
    plan: LogicalPlan,
    definition: &ViewDefinition,
    session: &SessionState,
    tombstones: &dyn Fn(&str) -> Result<Option<Tombstones>>,
) -> Result<LogicalPlan> {
    let plan = beside(plan)?;
    // With every value of the type that it will have.
    let plan = session
        .analyzer()
        .execute_and_check(plan, session.config_options(), |_, _| {})?;
    match definition.key.is_empty() {
        true => by_position(plan),
        false => narrowed(newest(&plan, &definition.key, tombstones)?),
    }
}

fn refuse(part: impl Into<String>, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(refused_but(part, hint)))
}

/// The newest row of each key.
fn newest(
    plan: &LogicalPlan,
    key: &[String],
    tombstones: &dyn Fn(&str) -> Result<Option<Tombstones>>,
) -> Result<LogicalPlan> {
    let places = key_places(plan.schema(), key)?;
    let streams = streams_read(plan)?;
    let mut branches: Vec<Branch> = Vec::new();
    trace(plan, places.iter().copied().map(Some).collect(), &mut branches)?;
    let mut rows = plan.clone();
    let mut deletions: Vec<LogicalPlan> = Vec::new();
    for stream in &streams {
        let Some(of_stream) = tombstones(stream)? else {
            return Err(refuse(
                format!("KEY over '{stream}', which is no stream,"),
                "KEY takes the newest row of streams; GROUP BY takes rows together",
            ));
        };
        if of_stream.are_rows {
            rows = without_tombstones(rows, stream)?;
        }
        let told: Vec<&Branch> = branches.iter().filter(|branch| branch.stream == *stream).collect();
        if told.iter().all(|branch| branch.is_told_by(&of_stream)) {
            for branch in told {
                deletions.push(branch.scan(&of_stream)?);
            }
        }
    }
    let rows = carry(&rows, &streams)?;
    let row = row_of(&rows, &places);
    let row_type = row.get_type(rows.schema())?;
    let mut inputs = vec![Arc::new(projected(&rows, &places, key, row)?)];
    for scan in deletions {
        let scan = carry(&scan, &streams)?;
        let places: Vec<usize> = (0..key.len()).collect();
        let no_row = lit(ScalarValue::try_from(&row_type)?);
        inputs.push(Arc::new(projected(&scan, &places, key, no_row)?));
    }
    let all = match inputs.as_slice() {
        [only] => Arc::clone(only),
        _ => Arc::new(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)),
    };
    shown(one_of_each(all, key.len())?, plan.schema(), &places)
}

/// Where the columns of the key stand among those of the query.
fn key_places(schema: &DFSchema, key: &[String]) -> Result<Vec<usize>> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut places: Vec<usize> = Vec::with_capacity(key.len());
    for name in key {
        let found: Vec<usize> = (0..names.len()).filter(|place| names[*place] == name).collect();
        match found.as_slice() {
            [only] if !places.contains(only) => places.push(*only),
            [_] => {
                return Err(refuse(
                    format!("KEY with '{name}' twice"),
                    "name each column of the key once",
                ));
            }
            [] => {
                let hint = format!(
                    "a column of the key is a column of the view: select it, too (there are {})",
                    names.join(", ")
                );
                return Err(refuse(format!("KEY ({name}), which its query does not select,"), &hint));
            }
            _ => {
                let hint = "give each of them a name of its own with AS";
                return Err(refuse(
                    format!("KEY ({name}), of which there are {},", found.len()),
                    hint,
                ));
            }
        }
    }
    Ok(places)
}

/// What of a stream the key of a view's rows is made of, in one part of a UNION ALL.
struct Branch {
    stream: String,
    /// The stream's columns, one for one; `None` where one is worked out.
    key: Option<Vec<String>>,
}

impl Branch {
    /// Whether the key of a tombstone says which row it deletes.
    fn is_told_by(&self, tombstones: &Tombstones) -> bool {
        let Some(key) = &self.key else {
            return false;
        };
        let schema = tombstones.table.schema();
        let mut told: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        told.retain(|name| !SYSTEM_COLUMNS.contains(name));
        let is_record_key = matches!(key.as_slice(), [only] if only == "_key");
        is_record_key || (told.len() == key.len() && key.iter().all(|column| told.contains(&column.as_str())))
    }

    /// The tombstones, the columns of the view's key first.
    fn scan(&self, tombstones: &Tombstones) -> Result<LogicalPlan> {
        let name = TableReference::bare(Source::Tombstones(self.stream.clone()).to_string());
        let scan = LogicalPlanBuilder::scan(name.clone(), Arc::clone(&tombstones.table), None)?.build()?;
        let key = self.key.iter().flatten();
        let columns = key.map(|column| Expr::Column(Column::new(Some(name.clone()), column)));
        Ok(LogicalPlan::Projection(Projection::try_new(
            columns.collect(),
            Arc::new(scan),
        )?))
    }
}

/// Follows columns of a plan down to its streams.
fn trace(plan: &LogicalPlan, columns: Vec<Option<usize>>, found: &mut Vec<Branch>) -> Result<()> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let schema = plan.schema();
            let name = |column: Option<usize>| Some(schema.field(column?).name().clone());
            found.push(Branch {
                stream: Source::of(scan).stream().to_owned(),
                key: columns.into_iter().map(name).collect(),
            });
            Ok(())
        }
        LogicalPlan::Projection(projection) => {
            let input = projection.input.schema();
            let below = |column: Option<usize>| match projection.expr[column?].clone().unalias() {
                Expr::Column(column) => input.index_of_column(&column).ok(),
                _ => None,
            };
            trace(&projection.input, columns.into_iter().map(below).collect(), found)
        }
        LogicalPlan::Union(union) => {
            for input in &union.inputs {
                trace(input, columns.clone(), found)?;
            }
            Ok(())
        }
        LogicalPlan::Aggregate(_) => Err(refuse(
            "KEY of a query with GROUP BY, or of a view,",
            "the columns of GROUP BY are the key already: leave KEY out; questions over views are plain views (CREATE VIEW name AS SELECT …)",
        )),
        other => {
            let inputs = other.inputs();
            let columns = match other {
                LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => columns,
                _ => vec![None; columns.len()],
            };
            inputs
                .into_iter()
                .try_for_each(|input| trace(input, columns.clone(), found))
        }
    }
}

/// The same plan over the events of a schema-free stream that have a value.
fn without_tombstones(plan: LogicalPlan, stream: &str) -> Result<LogicalPlan> {
    let filtered = plan.transform_up(|node| match &node {
        LogicalPlan::TableScan(scan) if Source::of(scan).stream() == stream => {
            let value = Column::new(Some(scan.table_name.clone()), "value");
            let filter = Filter::try_new(Expr::Column(value).is_not_null(), Arc::new(node.clone()))?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(filtered.data)
}

/// What is kept of a row besides its key: its other columns, or that it is there where it has none.
fn row_of(rows: &LogicalPlan, key: &[usize]) -> Expr {
    let schema = rows.schema();
    let rest = (0..schema.fields().len() - 1).filter(|index| !key.contains(index));
    let column = |index: usize| Expr::Column(Column::from(schema.qualified_field(index)));
    row::packed(
        rest.map(|index| (schema.field(index).name().as_str(), column(index)))
            .collect(),
    )
}

/// Key, row and place.
fn projected(carried: &LogicalPlan, places: &[usize], key: &[String], row: Expr) -> Result<LogicalPlan> {
    let schema = carried.schema();
    let mut columns: Vec<Expr> = Vec::with_capacity(key.len() + 2);
    for (place, name) in places.iter().zip(key) {
        columns.push(Expr::Column(Column::from(schema.qualified_field(*place))).alias(name));
    }
    columns.push(row.alias(ROW));
    columns.push(Expr::Column(place_column(schema)));
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(carried.clone()),
    )?))
}

/// The newest row of each key, where that is not a tombstone.
fn one_of_each(all: Arc<LogicalPlan>, keys: usize) -> Result<LogicalPlan> {
    let column = |index: usize| Expr::Column(Column::from(all.schema().qualified_field(index)));
    let key: Vec<Expr> = (0..keys).map(column).collect();
    let newest = last(column(keys), column(keys + 1)).alias(ROW);
    let newest = Aggregate::try_new(Arc::clone(&all), key, vec![newest])?;
    let newest = LogicalPlan::Aggregate(newest);
    let row = Expr::Column(Column::from(newest.schema().qualified_field(keys)));
    Ok(LogicalPlan::Filter(Filter::try_new(
        row.is_not_null(),
        Arc::new(newest),
    )?))
}

/// The columns as the query has them.
fn shown(newest: LogicalPlan, written: &DFSchema, places: &[usize]) -> Result<LogicalPlan> {
    let column = |index: usize| Expr::Column(Column::from(newest.schema().qualified_field(index)));
    let mut columns: Vec<Expr> = Vec::with_capacity(written.fields().len());
    let mut packed = 0..;
    for (index, field) in written.fields().iter().enumerate() {
        let name = field.name().as_str();
        columns.push(match places.iter().position(|place| *place == index) {
            Some(key) => column(key).alias(name),
            None => row::column(column(places.len()), packed.next().unwrap_or_default()).alias(name),
        });
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(newest))?))
}

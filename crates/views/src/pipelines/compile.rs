//! From a logical plan to a [`Flow`], or the refusal of the part that is no function of one event and the views beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

use super::flow::{Flow, Reads, Step};
use super::join_compile;
use super::refuse::{check_expression, node, refused};
use super::spec::CHANGES_OF;
use crate::ViewError;
use crate::fold::stage::Physical;
use crate::query::physical;
use crate::view::ViewByName;

/// A plan on its way to a flow.
pub(super) struct Compiling<'a> {
    pub session: &'a SessionState,
    pub views: &'a ViewByName,
    /// Whether a name is a stream's.
    pub is_stream: &'a dyn Fn(&str) -> bool,
    source: Option<(Reads, SchemaRef)>,
    steps: Vec<Step>,
}

/// Compiles the analyzed, not optimized plan of a pipeline's query.
pub(super) fn compile(
    plan: &LogicalPlan,
    session: &SessionState,
    views: &ViewByName,
    is_stream: &dyn Fn(&str) -> bool,
) -> Result<Flow, ViewError> {
    let mut compiling = Compiling {
        session,
        views,
        is_stream,
        source: None,
        steps: Vec::new(),
    };
    compiling.plan(plan)?;
    let Some((source, schema)) = compiling.source else {
        return Err(refused("a query that reads no stream", "read one: FROM stream"));
    };
    let mut steps = compiling.steps;
    let read = narrow(&mut steps, schema.fields().len()).map_err(failed)?;
    Ok(Flow {
        source,
        columns: read.iter().map(|index| schema.field(*index).name().clone()).collect(),
        steps,
        output: Arc::new(plan.schema().as_arrow().clone()),
    })
}

impl Compiling<'_> {
    /// The steps of a plan, the lowest first.
    fn plan(&mut self, plan: &LogicalPlan) -> Result<(), ViewError> {
        let is_step = matches!(
            plan,
            LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::TableScan(_)
        );
        if !is_step {
            return Err(node(plan));
        }
        for expression in plan.expressions() {
            check_expression(&expression)?;
        }
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            LogicalPlan::Projection(projection) => {
                self.plan(&projection.input)?;
                let column = |column: &Expr| physical(self.session, column, projection.input.schema());
                let columns = projection.expr.iter().map(column).collect::<Result<Vec<Physical>>>();
                let schema = Arc::new(projection.schema.as_arrow().clone());
                self.steps.push(Step::Project(columns.map_err(failed)?, schema));
                Ok(())
            }
            LogicalPlan::Filter(filter) => {
                self.plan(&filter.input)?;
                let predicate = physical(self.session, &filter.predicate, filter.input.schema());
                self.steps.push(Step::Filter(predicate.map_err(failed)?));
                Ok(())
            }
            LogicalPlan::Join(join) => {
                self.plan(&join.left)?;
                let joined = join_compile::join(self, join)?;
                self.steps.push(Step::Join(Box::new(joined)));
                Ok(())
            }
            LogicalPlan::TableScan(scan) => self.scan(scan),
            other => Err(node(other)),
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Result<(), ViewError> {
        let name = name_of(&scan.table_name);
        let reads = match name.strip_prefix(CHANGES_OF) {
            Some(view) => Reads::Changes(view.to_owned()),
            None => Reads::Stream(name.clone()),
        };
        if matches!(reads, Reads::Stream(_)) && !(self.is_stream)(&name) {
            return Err(refused(
                format!("'{name}', which is no stream,"),
                "a pipeline begins with a stream: write FROM stream JOIN view, or FROM CHANGES OF view",
            ));
        }
        for filter in &scan.filters {
            let predicate = physical(self.session, filter, &scan.projected_schema);
            self.steps.push(Step::Filter(predicate.map_err(failed)?));
        }
        self.source = Some((reads, Arc::new(scan.projected_schema.as_arrow().clone())));
        Ok(())
    }
}

/// A table's name as the catalog knows it.
pub(super) fn name_of(name: &TableReference) -> String {
    match (name.schema(), name.table()) {
        (None | Some("public"), table) => table.to_owned(),
        (Some(schema), table) => format!("{schema}.{table}"),
    }
}

pub(super) fn failed(error: DataFusionError) -> ViewError {
    ViewError::Failed(error.strip_backtrace())
}

/// Lets everything up to the first projection read batches of only the source's columns that it reads; these, by their indexes.
fn narrow(steps: &mut [Step], width: usize) -> Result<Vec<usize>> {
    let end = steps.iter().position(|step| matches!(step, Step::Project(..)));
    let end = end.map_or(steps.len(), |at| at + 1);
    let mut read: BTreeSet<usize> = BTreeSet::new();
    for step in &steps[..end] {
        for expression in step.expressions() {
            let columns = collect_columns(expression);
            read.extend(columns.iter().map(Column::index).filter(|index| *index < width));
        }
    }
    let read: Vec<usize> = read.into_iter().collect();
    let moved = |index: usize| match index < width {
        true => read.binary_search(&index).unwrap_or(0),
        false => index - width + read.len(),
    };
    for step in &mut steps[..end] {
        step.over(&moved, width - read.len(), &read)?;
    }
    Ok(read)
}

impl Step {
    fn expressions(&self) -> Vec<&Physical> {
        match self {
            Step::Filter(predicate) => vec![predicate],
            Step::Project(columns, _) => columns.iter().collect(),
            Step::Join(join) => join.keys.iter().chain(&join.residual).collect(),
        }
    }

    /// The same step over batches whose columns were moved; so many of the source's are gone, and `read` is what is left of them.
    fn over(&mut self, moved: &dyn Fn(usize) -> usize, gone: usize, read: &[usize]) -> Result<()> {
        match self {
            Step::Filter(predicate) => *predicate = reindexed(predicate, moved)?,
            Step::Project(columns, _) => {
                for column in columns {
                    *column = reindexed(column, moved)?;
                }
            }
            Step::Join(join) => {
                for expression in join.keys.iter_mut().chain(&mut join.residual) {
                    *expression = reindexed(expression, moved)?;
                }
                let source = gone + read.len();
                let kept: Vec<usize> = read.iter().copied().chain(source..join.schema.fields().len()).collect();
                join.schema = Arc::new(join.schema.project(&kept)?);
                join.left_columns -= gone;
            }
        }
        Ok(())
    }
}

fn reindexed(expression: &Physical, moved: &dyn Fn(usize) -> usize) -> Result<Physical> {
    let reindex = |part: Arc<dyn PhysicalExpr>| {
        Ok(match part.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), moved(column.index()))) as Physical),
            None => Transformed::no(part),
        })
    };
    Ok(Arc::clone(expression).transform(reindex)?.data)
}

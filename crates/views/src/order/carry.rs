//! The place of each row, carried from the streams up through the steps of a query.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, SubqueryAlias, TableScan, Union, lit};

use super::bytes::{PlaceOf, place};
use crate::query::{Source, node};

/// The name of the column that holds a row's place.
const PLACE: &str = "_headwater_place";

/// The streams that a plan reads, each once, by name.
pub(crate) fn streams_read(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut streams: Vec<String> = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            streams.push(Source::of(scan).stream().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    streams.sort();
    streams.dedup();
    Ok(streams)
}

/// The same rows, with the place of each as one more column, which is the last. `streams`: all that the view reads.
pub(crate) fn carry(plan: &LogicalPlan, streams: &[String]) -> Result<LogicalPlan> {
    Carrying { streams, branch: 0 }.through(plan)
}

/// The place in the rows of a plan that carries it.
pub(crate) fn place_column(carried: &DFSchema) -> Column {
    Column::from(carried.qualified_field(carried.fields().len() - 1))
}

struct Carrying<'a> {
    streams: &'a [String],
    /// The part of a UNION ALL at hand.
    branch: i32,
}

impl Carrying<'_> {
    fn through(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(plan, scan),
            LogicalPlan::Projection(projection) => {
                let input = self.through(&projection.input)?;
                let place = Expr::Column(place_column(input.schema()));
                let columns = projection.expr.iter().cloned().chain([place]).collect();
                Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?))
            }
            LogicalPlan::Filter(filter) => {
                let input = self.through(&filter.input)?;
                let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                Ok(LogicalPlan::Filter(filter))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.through(&alias.input)?;
                let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
                Ok(LogicalPlan::SubqueryAlias(alias))
            }
            LogicalPlan::Union(union) => {
                let mut inputs: Vec<Arc<LogicalPlan>> = Vec::with_capacity(union.inputs.len());
                for (index, input) in union.inputs.iter().enumerate() {
                    self.branch += i32::from(index > 0);
                    inputs.push(Arc::new(self.through(input)?));
                }
                Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
            }
            other => Err(DataFusionError::External(Box::new(node(other)))),
        }
    }

    fn scan(&self, plan: &LogicalPlan, scan: &TableScan) -> Result<LogicalPlan> {
        let column = |name: &str| Expr::Column(Column::new(Some(scan.table_name.clone()), name));
        let source = Source::of(scan);
        let rank = self.streams.iter().position(|known| known == source.stream());
        let place = place(PlaceOf {
            appended_at: column("_appended_at"),
            partition: column("_partition"),
            offset: column("_offset"),
            stream: i32::try_from(rank.unwrap_or_default()).unwrap_or(i32::MAX),
            branch: self.branch,
            element: lit(0_i32),
        });
        let own = plan.schema().columns().into_iter().map(Expr::Column);
        let columns = own.chain([place.alias(PLACE)]).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(
            columns,
            Arc::new(plan.clone()),
        )?))
    }
}

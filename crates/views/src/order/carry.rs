//! The place of each row, carried from the streams up through the steps of a query.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_fn::{coalesce, greatest};
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::functions_nested::range::range_udf;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, Projection, SubqueryAlias, TableScan, Union, Unnest, cast, lit,
};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};

use super::bytes::{PlaceOf, of_element, place};
use crate::query::{Source, node, refused_but};

/// The name of the column that holds a row's place.
const PLACE: &str = "_headwater_place";
/// The name of the column that holds the numbers of elements.
const ELEMENTS: &str = "_headwater_elements";

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
    let mut carrying = Carrying {
        streams,
        branch: 0,
        is_unnested: false,
    };
    carrying.through(plan)
}

/// Whether the place of each row can be carried up a plan of a question: one that reads streams and joins nothing.
pub(crate) fn is_carried(plan: &LogicalPlan, is_stream: &dyn Fn(&TableScan) -> bool) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => is_stream(scan),
        LogicalPlan::Unnest(unnest) => !has_unnest(&unnest.input) && is_carried(&unnest.input, is_stream),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
            plan.inputs().iter().all(|input| is_carried(input, is_stream))
        }
        _ => false,
    }
}

fn has_unnest(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Unnest(_)) || plan.inputs().iter().any(|input| has_unnest(input))
}

/// A plan that carries places, without the columns of its streams that nothing reads: they were passed on with the place. A view that does not read a
/// column decodes none of it, and is what it was where a stream gets one more.
pub(crate) fn narrowed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let narrowed = OptimizeProjections::new().rewrite(plan, &OptimizerContext::new())?;
    Ok(narrowed.data)
}

/// The place in the rows of a plan that carries it.
pub(crate) fn place_column(carried: &DFSchema) -> Column {
    Column::from(carried.qualified_field(carried.fields().len() - 1))
}

struct Carrying<'a> {
    streams: &'a [String],
    /// The part of a UNION ALL at hand.
    branch: i32,
    /// Whether an UNNEST is above.
    is_unnested: bool,
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
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            other => Err(DataFusionError::External(Box::new(node(other)))),
        }
    }

    /// The number of each element goes into its place: the numbers are one more array that is unnested.
    fn unnest(&mut self, unnest: &Unnest) -> Result<LogicalPlan> {
        if self.is_unnested {
            return Err(DataFusionError::External(Box::new(refused_but(
                "UNNEST of what an UNNEST gives, beside KEY, first_value, last_value or array_agg,",
                "the order of its elements is not kept: group them without these",
            ))));
        }
        self.is_unnested = true;
        let input = self.through(&unnest.input)?;
        self.is_unnested = false;
        let lists = unnest.list_type_columns.iter().map(|(list, _)| *list);
        let lengths = lists.map(|list| {
            let list = Expr::Column(Column::from(input.schema().qualified_field(list)));
            coalesce(vec![cast(array_length(list), DataType::Int64), lit(0_i64)])
        });
        let numbers = range_udf().call(vec![lit(0_i64), greatest(lengths.collect()), lit(1_i64)]);
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let columns = columns.chain([numbers.alias(ELEMENTS)]).collect();
        let numbered = Projection::try_new(columns, Arc::new(input))?;
        let mut lists = unnest.exec_columns.clone();
        lists.push(Column::new_unqualified(ELEMENTS));
        let numbered = Arc::new(LogicalPlan::Projection(numbered));
        let unnested = LogicalPlan::Unnest(Unnest::try_new(numbered, lists, unnest.options.clone())?);
        let mut columns: Vec<Expr> = unnested.schema().columns().into_iter().map(Expr::Column).collect();
        let (Some(number), Some(place)) = (columns.pop(), columns.pop()) else {
            return Err(DataFusionError::Internal(
                "rows without a place are unnested".to_owned(),
            ));
        };
        columns.push(of_element(place, number).alias(PLACE));
        Ok(LogicalPlan::Projection(Projection::try_new(
            columns,
            Arc::new(unnested),
        )?))
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

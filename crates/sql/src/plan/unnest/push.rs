//! A domain pushed down into a subquery: each of its rows then says which outer row it is of.
//!
//! Invariants
//! - What comes of a node has the columns that the node had, under their names, and those of the domain. It may have others, whose names nobody else has.
//! - Where a node does not depend, its rows are those of each outer row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, DistinctOn, Expr, ExprFunctionExt, ExprSchemable, FetchType, Filter, Join,
    JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Operator, Projection, SkipType, SortExpr, SubqueryAlias, Union,
    Unnest, Values, Window, lit,
};

use super::domain::{Domain, join, pairs};
use super::{Names, only_columns};
use crate::{SqlError, SqlState};

/// A plan, and the columns in it that are the domain's.
type Pushed = (LogicalPlan, Vec<Column>);

impl Names {
    /// Pushes a domain down into a plan.
    pub(super) fn push(&self, plan: LogicalPlan, domain: &Domain) -> Result<Pushed> {
        if domain.columns.is_empty() {
            return Ok((plan, Vec::new()));
        }
        if !domain.is_below(&plan) {
            let (values, columns) = domain.table(self)?;
            let beside = join(plan, values, JoinType::Inner, Vec::new(), Vec::new(), None)?;
            return Ok((beside, columns));
        }
        match plan {
            LogicalPlan::Filter(node) => self.filtered(node, domain),
            LogicalPlan::Projection(node) => self.projected(node, domain),
            LogicalPlan::Aggregate(node) if node.group_expr.is_empty() => self.aggregated(node, domain),
            LogicalPlan::Aggregate(node) => {
                let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
                let groups = each(node.group_expr, |expr| {
                    named(expr, |expr| domain.replaced(expr, &columns))
                })?;
                let groups = groups.into_iter().chain(as_exprs(&columns)).collect();
                let values = each(node.aggr_expr, |expr| {
                    named(expr, |expr| domain.replaced(expr, &columns))
                })?;
                Ok((
                    LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, values)?),
                    columns,
                ))
            }
            LogicalPlan::Join(node) => self.beside(node, domain),
            LogicalPlan::Window(node) => {
                let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
                let exprs = each(node.window_expr, |expr| {
                    named(expr, |expr| by_outer_row(domain.replaced(expr, &columns)?, &columns))
                })?;
                Ok((LogicalPlan::Window(Window::try_new(exprs, Arc::new(input))?), columns))
            }
            // Rows that are sorted and not cut off come in any order.
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.push(Arc::unwrap_or_clone(node.input), domain),
            LogicalPlan::Limit(node) => self.limited(node, domain),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let (input, columns) = self.pushed_exactly(Arc::unwrap_or_clone(input), domain)?;
                Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), columns))
            }
            LogicalPlan::Distinct(Distinct::On(node)) => self.distinct_on(node, domain),
            LogicalPlan::Union(node) => self.together(node.inputs, domain),
            LogicalPlan::Values(node) => self.listed(node, domain),
            LogicalPlan::SubqueryAlias(node) => {
                let (input, columns) = self.pushed_exactly(Arc::unwrap_or_clone(node.input), domain)?;
                let columns = columns
                    .into_iter()
                    .map(|column| Column::new(Some(node.alias.clone()), column.name));
                let columns = columns.collect();
                Ok((
                    LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), node.alias)?),
                    columns,
                ))
            }
            LogicalPlan::Unnest(node) => {
                let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
                let unnested = Unnest::try_new(Arc::new(input), node.exec_columns, node.options)?;
                Ok((LogicalPlan::Unnest(unnested), columns))
            }
            // What says that a query is lateral, where no table stands before it.
            LogicalPlan::Subquery(node) => self.push(Arc::unwrap_or_clone(node.subquery), domain),
            other => {
                let message = format!(
                    "a subquery that depends on the row around it cannot have this inside: {}",
                    other.display()
                );
                let error = SqlError::new(SqlState::NOT_SUPPORTED, message);
                Err(error
                    .hint("join the tables, and ask for the values with GROUP BY")
                    .into())
            }
        }
    }

    /// The same without any other columns.
    fn pushed_exactly(&self, plan: LogicalPlan, domain: &Domain) -> Result<Pushed> {
        let mut wanted = plan.schema().columns();
        let (plan, columns) = self.push(plan, domain)?;
        wanted.extend(columns.iter().cloned());
        Ok((only_columns(plan, &wanted)?, columns))
    }

    fn projected(&self, node: Projection, domain: &Domain) -> Result<Pushed> {
        let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
        let exprs = each(node.expr, |expr| named(expr, |expr| domain.replaced(expr, &columns)))?;
        let exprs = exprs.into_iter().chain(as_exprs(&columns)).collect();
        Ok((
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?),
            columns,
        ))
    }

    /// A condition on rows that do not depend themselves: where they are equal to the outer one, what they are equal by is the domain.
    fn filtered(&self, node: Filter, domain: &Domain) -> Result<Pushed> {
        if !domain.is_below(&node.input)
            && let Some(equal) = equal_to_all(&node, domain)
        {
            let mut columns: Vec<Column> = Vec::new();
            let mut exprs: Vec<Expr> = as_exprs(&node.input.schema().columns()).collect();
            for expr in equal {
                let name = self.next();
                exprs.push(expr.alias(name.clone()));
                columns.push(Column::new_unqualified(name));
            }
            let found = LogicalPlan::Projection(Projection::try_new(exprs, node.input)?);
            // The comparison with itself stays, and keeps NULL out.
            let predicate = domain.replaced(node.predicate, &columns)?;
            return Ok((
                LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(found))?),
                columns,
            ));
        }
        let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
        let predicate = domain.replaced(node.predicate, &columns)?;
        Ok((
            LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?),
            columns,
        ))
    }

    /// An aggregate of all rows gives one also where there are none: of each outer row, over the rows that are there.
    fn aggregated(&self, node: Aggregate, domain: &Domain) -> Result<Pushed> {
        let (input, of_rows) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
        let is_there = Column::new_unqualified(self.next());
        let mut marked: Vec<Expr> = as_exprs(&input.schema().columns()).collect();
        marked.push(lit(true).alias(is_there.name.clone()));
        let marked = LogicalPlan::Projection(Projection::try_new(marked, Arc::new(input))?);
        let (values, columns) = domain.table(self)?;
        let pairs = pairs(&columns, &of_rows);
        let all = join(values, marked, JoinType::Left, pairs, Vec::new(), None)?;
        let of_there = |expr: Expr| -> Result<Expr> {
            let counted = domain.replaced(expr, &columns)?.transform_up(|part| match part {
                Expr::AggregateFunction(mut function) => {
                    let there = Expr::Column(is_there.clone()).is_not_null();
                    function.params.filter = Some(Box::new(match function.params.filter.take() {
                        Some(filter) => there.and(*filter),
                        None => there,
                    }));
                    Ok(Transformed::yes(Expr::AggregateFunction(function)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(counted.data)
        };
        let exprs = each(node.aggr_expr, |expr| named(expr, of_there))?;
        let groups = as_exprs(&columns).collect();
        Ok((
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(all), groups, exprs)?),
            columns,
        ))
    }

    /// A join, of the rows of one outer row on both sides.
    fn beside(&self, node: Join, domain: &Domain) -> Result<Pushed> {
        let asks = node.filter.iter().any(|expr| domain.is_in(expr))
            || node
                .on
                .iter()
                .any(|(left, right)| domain.is_in(left) || domain.is_in(right));
        let (in_left, in_right) = (domain.is_below(&node.left), domain.is_below(&node.right));
        use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
        let (of_left, of_right) = match node.join_type {
            Inner => (in_left || asks && !in_right, in_right),
            Left | LeftSemi | LeftAnti | LeftMark => (true, in_right),
            Right | RightSemi | RightAnti | RightMark => (in_left, true),
            Full => (true, true),
        };
        let side = |plan: Arc<LogicalPlan>, is_of: bool| match is_of {
            true => self.push(Arc::unwrap_or_clone(plan), domain),
            false => Ok((Arc::unwrap_or_clone(plan), Vec::new())),
        };
        let (left, left_columns) = side(node.left, of_left)?;
        let (right, right_columns) = side(node.right, of_right)?;
        let columns = match node.join_type {
            Right | RightSemi | RightAnti | RightMark => right_columns.clone(),
            _ if of_left => left_columns.clone(),
            _ => right_columns.clone(),
        };
        let filter = node.filter.map(|expr| domain.replaced(expr, &columns)).transpose()?;
        let on = each(node.on, |(left, right)| {
            Ok((domain.replaced(left, &columns)?, domain.replaced(right, &columns)?))
        })?;
        let mut pairs = pairs(&left_columns, &right_columns);
        // What was equal also where both are NULL still is.
        let on = match node.null_equality {
            NullEquality::NullEqualsNull => {
                pairs.extend(on);
                Vec::new()
            }
            NullEquality::NullEqualsNothing => on,
        };
        let joined = join(left, right, node.join_type, pairs, on, filter)?;
        if node.join_type != Full {
            return Ok((joined, columns));
        }
        // Of a row without any on the other side, the one that has it.
        let mut exprs: Vec<Expr> = as_exprs(&joined.schema().columns()).collect();
        let mut both: Vec<Column> = Vec::new();
        for (left, right) in left_columns.into_iter().zip(right_columns) {
            let name = self.next();
            exprs.push(either(left, right)?.alias(name.clone()));
            both.push(Column::new_unqualified(name));
        }
        Ok((
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(joined))?),
            both,
        ))
    }

    /// The first rows of each outer row.
    fn limited(&self, node: Limit, domain: &Domain) -> Result<Pushed> {
        let (skip, fetch) = match (node.get_skip_type()?, node.get_fetch_type()?) {
            (SkipType::Literal(skip), FetchType::Literal(fetch)) => (skip as u64, fetch.map(|fetch| fetch as u64)),
            _ => {
                let message = "LIMIT of a subquery that depends on the row around it is a number";
                return Err(SqlError::new(SqlState::NOT_SUPPORTED, message)
                    .hint("write the number of rows")
                    .into());
            }
        };
        let (order, input) = match Arc::unwrap_or_clone(node.input) {
            // What is worked out of each row stays as it is when others go.
            LogicalPlan::Projection(above) => {
                let input = Arc::new(LogicalPlan::Limit(Limit {
                    input: above.input,
                    ..node
                }));
                return self.projected(Projection::try_new(above.expr, input)?, domain);
            }
            LogicalPlan::Sort(sort) => (sort.expr, Arc::unwrap_or_clone(sort.input)),
            other => (Vec::new(), other),
        };
        let (input, columns) = self.push(input, domain)?;
        let order = each(order, |sort: SortExpr| {
            let expr = domain.replaced(sort.expr, &columns)?;
            Ok(SortExpr { expr, ..sort })
        })?;
        let place = Column::new_unqualified(self.next());
        let number = row_number().partition_by(as_exprs(&columns).collect());
        let number = match order.is_empty() {
            true => number.build()?,
            false => number.order_by(order).build()?,
        };
        let at = || Expr::Column(place.clone());
        let first = (skip > 0).then(|| at().gt(lit(skip)));
        let last = fetch.map(|fetch| at().lt_eq(lit(skip.saturating_add(fetch))));
        let numbered = LogicalPlanBuilder::from(input).window([number.alias(place.name.clone())])?;
        let cut = match conjunction(first.into_iter().chain(last)) {
            Some(within) => numbered.filter(within)?,
            None => numbered,
        };
        Ok((cut.build()?, columns))
    }

    fn distinct_on(&self, node: DistinctOn, domain: &Domain) -> Result<Pushed> {
        let (input, columns) = self.push(Arc::unwrap_or_clone(node.input), domain)?;
        let replaced = |expr: Expr| domain.replaced(expr, &columns);
        let on = as_exprs(&columns).chain(each(node.on_expr, replaced)?).collect();
        let select = each(node.select_expr, |expr| named(expr, replaced))?;
        let select = select.into_iter().chain(as_exprs(&columns)).collect();
        let by_domain = as_exprs(&columns).map(|expr| expr.sort(true, false));
        let sort = node.sort_expr.map(|sort| {
            let sort = each(sort, |sort: SortExpr| {
                let expr = replaced(sort.expr)?;
                Ok(SortExpr { expr, ..sort })
            })?;
            Ok::<Vec<SortExpr>, datafusion::common::DataFusionError>(by_domain.chain(sort).collect())
        });
        let node = DistinctOn::try_new(on, select, sort.transpose()?, Arc::new(input))?;
        Ok((LogicalPlan::Distinct(Distinct::On(node)), columns))
    }

    /// The rows of all inputs, which have as many columns.
    fn together(&self, inputs: Vec<Arc<LogicalPlan>>, domain: &Domain) -> Result<Pushed> {
        let shared: Vec<Column> = domain
            .columns
            .iter()
            .map(|_| Column::new_unqualified(self.next()))
            .collect();
        let inputs = each(inputs, |input| {
            let (input, columns) = self.pushed_exactly(Arc::unwrap_or_clone(input), domain)?;
            let width = input.schema().fields().len() - columns.len();
            let own = input.schema().columns().into_iter().take(width).map(Expr::Column);
            let domains = as_exprs(&columns)
                .zip(&shared)
                .map(|(expr, shared)| expr.alias(shared.name.clone()));
            let exprs = own.chain(domains).collect();
            Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(
                exprs,
                Arc::new(input),
            )?)))
        })?;
        Ok((LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?), shared))
    }

    /// `VALUES (t.a), (t.b)`: a row of each list.
    fn listed(&self, node: Values, domain: &Domain) -> Result<Pushed> {
        let names = node.schema.columns();
        let rows = each(node.values, |row| {
            let one = LogicalPlanBuilder::empty(true);
            let exprs = row
                .into_iter()
                .zip(&names)
                .map(|(expr, column)| expr.alias(column.name.clone()));
            Ok(Arc::new(one.project(exprs)?.build()?))
        })?;
        let (rows, columns) = match rows.as_slice() {
            [row] => self.push(row.as_ref().clone(), domain)?,
            _ => self.together(rows, domain)?,
        };
        Ok((rows, columns))
    }
}

/// What each outer column is equal to in the rows that a condition is about, where each is.
fn equal_to_all(node: &Filter, domain: &Domain) -> Option<Vec<Expr>> {
    let schema = node.input.schema();
    let parts = split_conjunction_owned(node.predicate.clone());
    let equal_to = |outer: &Column| {
        parts.iter().find_map(|part| {
            let Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Eq,
                right,
            }) = part
            else {
                return None;
            };
            let (field, own) = match (left.as_ref(), right.as_ref()) {
                (Expr::OuterReferenceColumn(field, column), own) | (own, Expr::OuterReferenceColumn(field, column))
                    if column == outer =>
                {
                    (field, own)
                }
                _ => return None,
            };
            let is_alike = own.get_type(schema).is_ok_and(|own| own == *field.data_type());
            (is_alike && !own.contains_outer()).then(|| own.clone())
        })
    };
    domain.columns.iter().map(equal_to).collect()
}

/// A window function within the rows of one outer row.
fn by_outer_row(expr: Expr, columns: &[Column]) -> Result<Expr> {
    let within = expr.transform_up(|part| match part {
        Expr::WindowFunction(mut function) => {
            function.params.partition_by.extend(as_exprs(columns));
            Ok(Transformed::yes(Expr::WindowFunction(function)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(within.data)
}

/// An expression that is rewritten, under its name.
fn named(expr: Expr, rewrite: impl FnOnce(Expr) -> Result<Expr>) -> Result<Expr> {
    let (relation, name) = expr.qualified_name();
    let rewritten = rewrite(expr)?;
    Ok(match rewritten.qualified_name() == (relation.clone(), name.clone()) {
        true => rewritten,
        false => rewritten.alias_qualified(relation, name),
    })
}

/// The one of two columns that is not NULL.
fn either(left: Column, right: Column) -> Result<Expr> {
    let (left, right) = (Expr::Column(left), Expr::Column(right));
    datafusion::logical_expr::when(left.clone().is_not_null(), left).otherwise(right)
}

fn as_exprs(columns: &[Column]) -> impl Iterator<Item = Expr> + use<'_> {
    columns.iter().cloned().map(Expr::Column)
}

fn each<T, U>(all: Vec<T>, one: impl FnMut(T) -> Result<U>) -> Result<Vec<U>> {
    all.into_iter().map(one).collect()
}

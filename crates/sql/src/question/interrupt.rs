//! Joins that end when nobody waits for them any more.
//!
//! A join without an equality compares every row with every row, and may do so for minutes without a row to give: its task is never at a point
//! where it could be ended, and as many of them as the runtime has threads would keep everything else from its turn. So its condition looks, once a batch,
//! whether the answer is still wanted, and hands the runtime's thread over now and then; every join lets other tasks have their turn between its batches.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec,
};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{SqlError, SqlState};

/// After how many batches of a comparison others have their turn: some milliseconds of work.
const BATCHES_A_TURN: u32 = 64;

/// Whether the answer of a question is still wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody waits any more.
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Until this is told that the rows have come to their end, its drop ends them.
    pub(crate) fn running(&self) -> Running {
        Running(Some(self.clone()))
    }

    fn is_asked_for(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A plan that runs.
pub(crate) struct Running(Option<Stop>);

impl Running {
    /// All of its rows are there.
    pub(crate) fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.now();
        }
    }
}

/// The plan with joins that heed `stop`.
pub(crate) fn heeding(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let heeding = plan.transform_up(|node| {
        let node: Arc<dyn ExecutionPlan> = match node.downcast_ref::<NestedLoopJoinExec>() {
            Some(join) => {
                let condition = join.filter().map(|filter| asking(filter, stop));
                Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(condition).build()?)
            }
            None if is_join(&node) => node,
            None => return Ok(Transformed::no(node)),
        };
        Ok(Transformed::yes(
            Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>
        ))
    })?;
    Ok(heeding.data)
}

/// Whether the plan may work for long without giving a row. A recursive query may never come to its end.
pub(super) fn may_be_long(plan: &Arc<dyn ExecutionPlan>) -> bool {
    is_join(plan) || plan.is::<RecursiveQueryExec>() || plan.children().into_iter().any(may_be_long)
}

fn is_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
}

fn asking(filter: &JoinFilter, stop: &Stop) -> JoinFilter {
    let condition = Wanted {
        condition: Arc::clone(filter.expression()),
        stop: stop.clone(),
        batches: AtomicU32::new(0),
    };
    JoinFilter::new(
        Arc::new(condition),
        filter.column_indices().to_vec(),
        Arc::clone(filter.schema()),
    )
}

/// A condition that is an error once the answer is not wanted any more.
#[derive(Debug)]
struct Wanted {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
    batches: AtomicU32,
}

impl Wanted {
    /// Every so many batches, gives the runtime's thread to whoever waits for one; this one goes on beside it.
    fn let_others_work(&self) {
        let batches = self.batches.fetch_add(1, Ordering::Relaxed);
        let is_turn = batches % BATCHES_A_TURN == BATCHES_A_TURN - 1;
        if is_turn && Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
        {
            tokio::task::block_in_place(|| {});
        }
    }
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Wanted) -> bool {
        self.condition.eq(&other.condition) && Arc::ptr_eq(&self.stop.0, &other.stop.0)
    }
}

impl Eq for Wanted {}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Wanted {
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_asked_for() {
            return Err(SqlError::new(
                SqlState::CANCELED,
                "the statement was canceled: nobody waits for its answer",
            )
            .into());
        }
        self.let_others_work();
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children
            .into_iter()
            .next()
            .unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Wanted {
            condition,
            stop: self.stop.clone(),
            batches: AtomicU32::new(0),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

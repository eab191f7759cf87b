//! Filters go down a running plan only where names tell its columns apart.
//!
//! What runs finds a filter's column below by its name. Above a join of two tables that both have a column `id`, that may be the other one's: rows without a partner,
//! `WHERE x.id IS NULL`, would be looked for by `y.id`. Where a node has two columns of one name nothing goes down through it; the parts below, whose names
//! are apart, keep what is won by it. Filters that are written were brought down before, where columns are known by their tables.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

/// One of the engine's own rules that bring filters down, for plans whose names are apart.
#[derive(Debug)]
pub(crate) struct NamesApart(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for NamesApart {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // Nothing comes down to the node itself: it may have two of one name, as a join that brings filters of its own to its sides.
        if plan.children().into_iter().all(are_apart) {
            return self.0.optimize(plan, config);
        }
        let below = plan
            .children()
            .into_iter()
            .map(|child| self.optimize(Arc::clone(child), config));
        let below = below.collect::<Result<Vec<Arc<dyn ExecutionPlan>>>>()?;
        replace_children_if_necessary(plan, below)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether no node of a plan has two columns of one name, so that a filter finds each of its own there.
fn are_apart(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut seen: HashSet<&str> = HashSet::new();
    schema.fields().iter().all(|field| seen.insert(field.name())) && plan.children().into_iter().all(are_apart)
}

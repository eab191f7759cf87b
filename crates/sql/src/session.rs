//! The functions, bounds and memory that every question starts with.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::prelude::SessionConfig;
use headwater_catalog::Catalog;

use crate::exact::{
    MomentTypes, checked_functions, date_bin, date_trunc, exact_average, exact_regression, exact_spreads, exact_sum,
    timezone,
};
use crate::limits::{JOIN_KEYS_MAX, JOIN_MEMORY_SHARE, JOIN_ROWS_GATHERED};
use crate::plan::analyze::intervals::IntervalsMultiplied;
use crate::plan::analyze::quoted::QuotedBeside;
use crate::question::casts_apart::naming;
use crate::{lengthening, plan, postgres};

/// What a row of a join takes where nothing says its length.
const ROW_BYTES: usize = 64;

/// What a question is planned and run with; all questions together use at most `memory_bytes_max`.
pub fn state(memory_bytes_max: usize, catalog: &Catalog) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(SessionConfig::from(options(memory_bytes_max)))
        .with_analyzer_rules(plan::analyzing())
        .with_optimizer_rules(plan::optimizing())
        .with_physical_optimizer_rules(plan::running())
        .with_runtime_env(Arc::new(runtime(memory_bytes_max)))
        .with_type_planner(Arc::new(MomentTypes))
        .with_default_features()
        .build();
    functions(&mut state, memory_bytes_max, catalog);
    state
}

/// How questions are read and planned.
fn options(memory_bytes_max: usize) -> ConfigOptions {
    let mut options = ConfigOptions::new();
    // The same as the planner's own options: see `question::parser_options`.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.support_varchar_with_length = true;
    // `ok IS NOT FALSE` is never NULL, which the engine's plan knows and what runs it does not.
    options.execution.skip_physical_aggregate_schema_check = true;
    // A timestamp without a zone is UTC.
    options.execution.time_zone = Some("+00:00".to_owned());
    joins(&mut options, memory_bytes_max);
    options
}

/// Questions write no files: one that needs more memory than there is ends with an error.
fn runtime(memory_bytes_max: usize) -> RuntimeEnv {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(memory_bytes_max, 1.0)
        .with_disk_manager_builder(disk)
        .build();
    runtime.unwrap_or_else(|error| {
        tracing::warn!(%error, "questions run without a bound on their memory");
        RuntimeEnv::default()
    })
}

/// What functions and operators stand for. One that comes later takes the place of one of its name.
fn functions(state: &mut SessionState, memory_bytes_max: usize, catalog: &Catalog) {
    let exact = [exact_sum(), exact_average(), exact_regression()];
    for function in exact.into_iter().chain(exact_spreads()) {
        if let Err(error) = state.register_udaf(Arc::new(function)) {
            tracing::warn!(%error, "an aggregate of exact numbers is not there");
        }
    }
    let planners: [Arc<dyn ExprPlanner>; 3] = [
        Arc::new(QuotedBeside),
        Arc::new(IntervalsMultiplied),
        Arc::new(postgres::JsonAsked),
    ];
    for planner in planners {
        if let Err(error) = state.register_expr_planner(planner) {
            tracing::warn!(%error, "an operator of PostgreSQL's is not there");
        }
    }
    for function in postgres::value_functions() {
        if let Err(error) = state.register_udf(Arc::new(function)) {
            tracing::warn!(%error, "a function of values is not there");
        }
    }
    lengthening::bound(state, memory_bytes_max);
    for function in checked_functions(state) {
        if let Err(error) = state.register_udf(Arc::new(function)) {
            tracing::warn!(%error, "a function of numbers is not checked");
        }
    }
    for function in postgres::functions(catalog)
        .into_iter()
        .chain([date_bin(), date_trunc(), timezone(), postgres::to_char(), naming()])
        .chain(postgres::lengths())
        .chain(postgres::json_functions())
    {
        if let Err(error) = state.register_udf(Arc::new(function)) {
            tracing::warn!(%error, "a function of PostgreSQL's is not there");
        }
    }
    if let Err(error) = datafusion_functions_json::register_all(state) {
        tracing::warn!(%error, "the functions on JSON are not there");
    }
}

/// Joins gather the smaller side once, as far as there is room for it: to sort both into partitions costs a copy of every row.
fn joins(options: &mut ConfigOptions, memory_bytes_max: usize) {
    let share = memory_bytes_max / JOIN_MEMORY_SHARE;
    let optimizer = &mut options.optimizer;
    let bytes = &mut optimizer.hash_join_single_partition_threshold;
    *bytes = share.max(*bytes);
    let pairs = (options.execution.target_partitions / 2).max(1);
    let rows = &mut optimizer.hash_join_single_partition_threshold_rows;
    *rows = (share / ROW_BYTES).min(JOIN_ROWS_GATHERED / pairs).max(*rows);
    let keys = &mut options.execution.perfect_hash_join_small_build_threshold;
    *keys = (share / size_of::<u32>()).min(JOIN_KEYS_MAX).max(*keys);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_of_a_join_is_gathered_as_far_as_there_is_room() {
        let check = |memory_bytes_max: usize, threads: usize, expected: [usize; 3]| {
            let mut options = ConfigOptions::new();
            options.execution.target_partitions = threads;
            joins(&mut options, memory_bytes_max);
            let (optimizer, execution) = (&options.optimizer, &options.execution);
            let came = [
                optimizer.hash_join_single_partition_threshold,
                optimizer.hash_join_single_partition_threshold_rows,
                execution.perfect_hash_join_small_build_threshold,
            ];
            assert_eq!(came, expected, "{memory_bytes_max} {threads}");
        };
        check(1 << 20, 2, [1 << 20, 1 << 17, 1 << 12]);
        check(256 << 20, 2, [4 << 20, 1 << 17, 1 << 20]);
        check(1 << 30, 2, [16 << 20, 1 << 18, 1 << 22]);
        check(64 << 30, 2, [1 << 30, JOIN_ROWS_GATHERED, JOIN_KEYS_MAX]);
        check(64 << 30, 16, [1 << 30, JOIN_ROWS_GATHERED / 8, JOIN_KEYS_MAX]);
    }
}

//! What the engine's planner asks while it makes a plan: tables and table functions by their names, functions as the session has them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use headwater_catalog::Definition;

use super::{Names, table_name};
use crate::exact::MomentTypes;
use crate::graph::Algorithm;
use crate::parse::GRAPH_TABLE;
use crate::postgres;
use crate::question::functions::{FACETS, LINEAGE, ORIGINS, SEARCH};
use crate::{SqlError, SqlState};

impl ContextProvider for Names<'_> {
    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(MomentTypes))
    }

    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = table_name(&name);
        let rewound = self.rewound.borrow().get(&name).cloned();
        match rewound {
            Some((name, at)) => self.source(&name, at.as_ref()),
            None => self.source(&name, self.at.as_ref()),
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let rewound = self.rewound.borrow().get(name).cloned();
        let (name, at) = match &rewound {
            Some((name, at)) => (name.as_str(), at.as_ref()),
            None => (name, self.at.as_ref()),
        };
        match name {
            LINEAGE | ORIGINS if rewound.is_some() => {
                let message = format!("{name} shows every step of a row and is not rewound");
                let error = SqlError::new(SqlState::NOT_SUPPORTED, message);
                return Err(error
                    .hint("take the steps up to a moment with WHERE _appended_at <= …")
                    .into());
            }
            LINEAGE => return self.lineage(args),
            ORIGINS => return self.origins(args),
            SEARCH => return self.search(args, at),
            FACETS => return self.facets(args, at),
            _ => {}
        }
        if name == GRAPH_TABLE {
            return self.graph_table(&args, at);
        }
        if let Some(algorithm) = Algorithm::named(name) {
            return self.graph_algorithm(algorithm, args, at);
        }
        if let Some(Definition::Command(_)) = self.inner.catalog.get(name).as_deref() {
            let error = SqlError::new(
                SqlState::UNKNOWN_FUNCTION,
                format!("'{name}' is a command, not a function"),
            );
            return Err(error.hint(format!("CALL {name}(…) runs it")).into());
        }
        if name == postgres::KEYWORDS
            && args.is_empty()
            && let Some(table) = postgres::table(self.inner, name)
        {
            return Ok(provider_as_source(table?));
        }
        let function = self.state.table_functions().get(name).cloned().ok_or_else(|| {
            let message = format!("there is no table function '{name}'");
            SqlError::new(SqlState::UNKNOWN_FUNCTION, message)
                .hint("lineage(view, key), search(view, query) and generate_series(first, last) are some")
        })?;
        let mut constants: Vec<Expr> = Vec::new();
        for arg in args {
            constants.push(self.moments.argument(arg)?);
        }
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&constants, self.state))?;
        Ok(provider_as_source(provider))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

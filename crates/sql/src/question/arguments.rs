//! Arguments with names, of functions that are tables: the query engine knows arguments in order alone, so each name becomes one before its value.
//!
//! ```text
//! FROM pagerank('shop', damping => 0.9)     becomes     FROM pagerank('shop', 'damping', 0.9)
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Query, TableFactor, Value, VisitMut, VisitorMut,
};

/// Rewrites the arguments of every such function.
pub(super) fn in_order(query: &mut Query) {
    let _ = query.visit(&mut Functions);
}

struct Functions;

impl VisitorMut for Functions {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { args: Some(args), .. } = factor else {
            return ControlFlow::Continue(());
        };
        let mut ordered: Vec<FunctionArg> = Vec::with_capacity(args.args.len());
        for argument in std::mem::take(&mut args.args) {
            match argument {
                FunctionArg::Named { name, arg, .. } => {
                    let name = Expr::Value(Value::SingleQuotedString(name.value).with_empty_span());
                    ordered.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(name)));
                    ordered.push(FunctionArg::Unnamed(arg));
                }
                other => ordered.push(other),
            }
        }
        args.args = ordered;
        ControlFlow::Continue(())
    }
}

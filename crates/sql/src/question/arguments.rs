//! Arguments with names, of functions that are tables: the query engine knows arguments in order alone, so each name becomes one before its value.
//!
//! ```text
//! FROM pagerank('shop', damping => 0.9)     becomes     FROM pagerank('shop', 'damping', 0.9)
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Query, TableFactor, Value, VisitMut, VisitorMut,
};

use super::functions::{AFTER, LINEAGE, ORIGINS};
use crate::{Place, SqlError, SqlState};

/// The functions whose own arguments are as many as a key has columns, so that only here it is seen what was named; with the names that they take.
const NAMED: [(&str, &[&str]); 4] = [
    (LINEAGE, &[AFTER]),
    (ORIGINS, &[AFTER]),
    ("generate_series", &[]),
    ("range", &[]),
];

/// Rewrites the arguments of every such function.
pub(super) fn in_order(query: &mut Query) -> Result<(), SqlError> {
    match query.visit(&mut Functions) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Functions;

impl VisitorMut for Functions {
    type Break = Box<SqlError>;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Box<SqlError>> {
        let TableFactor::Table {
            name: function,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let function = function.to_string();
        let mut ordered: Vec<FunctionArg> = Vec::with_capacity(args.args.len());
        for argument in std::mem::take(&mut args.args) {
            match argument {
                FunctionArg::Named { name, .. } if !is_taken(&function, &name) => {
                    return ControlFlow::Break(Box::new(unknown(&function, &name)));
                }
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

fn is_taken(function: &str, argument: &Ident) -> bool {
    let known = NAMED.iter().find(|(name, _)| *name == function);
    known.is_none_or(|(_, taken)| taken.contains(&argument.value.as_str()))
}

fn unknown(function: &str, argument: &Ident) -> SqlError {
    let error = SqlError::new(
        SqlState::UNKNOWN_FUNCTION,
        format!("{function}() has no argument '{}'", argument.value),
    );
    let taken = NAMED.iter().find(|(name, _)| *name == function);
    let names = taken.map_or(String::new(), |(_, taken)| taken.join(", "));
    let hint = match names.is_empty() {
        true => "its arguments have no names".to_owned(),
        false => format!("beside those without a name it takes {names}"),
    };
    error.hint(hint).at(Place {
        file: String::new(),
        line: argument.span.start.line.max(1),
        column: argument.span.start.column.max(1),
    })
}

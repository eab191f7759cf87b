//! The streams, views and graphs that a question names.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectName, Query, TableFactor, TableFunctionArgs, Value, Visit, Visitor,
};
use headwater_catalog::Definition;
use headwater_views::CHANGES_OF;

use super::functions::{LINEAGE, VIEW_FUNCTIONS};
use crate::SqlError;
use crate::graph::Algorithm;
use crate::inner::Inner;
use crate::parse::{GRAPH_TABLE, graph_name};
use crate::postgres::stored_name;
use crate::syntax::Question;

/// The streams and views that a question names, by the names of the catalog; an unknown one is an error.
pub(crate) fn sources(inner: &Inner, question: &Question) -> Result<Vec<String>, SqlError> {
    let mut collector = Sources {
        inner,
        ctes: Vec::new(),
        names: BTreeSet::new(),
    };
    let _ = question.query.visit(&mut collector);
    let plain = |name: &String| name.strip_prefix(CHANGES_OF).unwrap_or(name).to_owned();
    let names: BTreeSet<String> = collector.names.iter().map(plain).collect();
    for name in &names {
        let known = inner.catalog.stream(name).is_some()
            || matches!(
                inner.catalog.get(name).as_deref(),
                Some(Definition::View(_) | Definition::Graph(_))
            );
        if !known {
            return Err(inner.unknown_table(name));
        }
    }
    Ok(names.into_iter().collect())
}

struct Sources<'a> {
    inner: &'a Inner,
    ctes: Vec<Vec<String>>,
    names: BTreeSet<String>,
}

impl Visitor for Sources<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let names = query
            .with
            .iter()
            .flat_map(|with| &with.cte_tables)
            .map(|cte| cte.alias.name.value.clone());
        self.ctes.push(names.collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.add(name),
            TableFactor::Table {
                name, args: Some(args), ..
            } if is_view_function(name) => {
                let view = text_argument(args, 0);
                if function_of(name) == Some(LINEAGE) {
                    // Its rows have the columns of the events, too.
                    self.names
                        .extend(view.iter().flat_map(|view| self.inner.streams_below(view)));
                }
                self.names.extend(view);
            }
            TableFactor::Table {
                name, args: Some(args), ..
            } => self.names.extend(graph_asked(name, args)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Sources<'_> {
    fn add(&mut self, name: &ObjectName) {
        let parts: Vec<&str> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| ident.value.as_str())
            .collect();
        match parts.as_slice() {
            [table] if self.ctes.iter().flatten().any(|cte| cte == table) => {}
            _ => {
                self.names.insert(stored_name(name));
            }
        }
    }
}

fn is_view_function(name: &ObjectName) -> bool {
    function_of(name).is_some_and(|name| VIEW_FUNCTIONS.contains(&name))
}

fn function_of(name: &ObjectName) -> Option<&str> {
    let [part] = name.0.as_slice() else { return None };
    part.as_ident().map(|ident| ident.value.as_str())
}

/// The text that an argument is, where it is one.
pub(super) fn text_argument(args: &TableFunctionArgs, place: usize) -> Option<String> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = args.args.get(place)? else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The graph that a table function of a question asks, where it is one of graphs.
pub(super) fn graph_asked(name: &ObjectName, args: &TableFunctionArgs) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    match part.as_ident()?.value.as_str() {
        GRAPH_TABLE => graph_name(&text_argument(args, 1)?),
        name => Algorithm::named(name).and_then(|_| text_argument(args, 0)),
    }
}

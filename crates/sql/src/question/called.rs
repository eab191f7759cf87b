//! What the text of a question says of its parameters: how many there are, and which are cast to what has no type of its own here (`$1::uuid` is a text, but
//! drivers send it as what the cast says).

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, Expr, Query, Value, Visit, Visitor};

use super::parameter_index;

/// The places of such parameters, and what they are called.
pub(super) fn parameters(query: &Query) -> Vec<(usize, DataType)> {
    let mut casts = Casts::default();
    let _ = query.visit(&mut casts);
    casts.found
}

/// How many parameters a query names, up to the last of them.
pub(super) fn count(query: &Query) -> usize {
    let mut casts = Casts::default();
    let _ = query.visit(&mut casts);
    casts.count
}

#[derive(Default)]
struct Casts {
    found: Vec<(usize, DataType)>,
    count: usize,
}

impl Visitor for Casts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(id) = &value.value
            && let Some(index) = parameter_index(id)
        {
            self.count = self.count.max(index + 1);
        }
        if let Expr::Cast { expr, data_type, .. } = expr
            && let Expr::Value(value) = expr.as_ref()
            && let Value::Placeholder(id) = &value.value
            && let Some(index) = parameter_index(id)
            && let Some(called) = called(data_type)
        {
            self.found.push((index, called));
        }
        ControlFlow::Continue(())
    }
}

fn called(data_type: &ast::DataType) -> Option<DataType> {
    match data_type {
        ast::DataType::Uuid => Some(DataType::FixedSizeBinary(16)),
        ast::DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            Some(DataType::new_list(called(element)?, true))
        }
        _ => None,
    }
}

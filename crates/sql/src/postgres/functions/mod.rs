//! PostgreSQL's functions of values that the query engine does not have, or has otherwise.

pub(crate) mod by_row;
pub(crate) mod bytes;
mod formatted;
pub(crate) mod json;
pub(crate) mod moments;
pub(crate) mod ordered;
pub(crate) mod regex;
pub(crate) mod series;
pub(crate) mod to_char;
mod type_of;

use datafusion::logical_expr::ScalarUDF;

/// The functions of values that the query engine does not have, or has otherwise.
pub(crate) fn value_functions() -> Vec<ScalarUDF> {
    let by_row = regex::FUNCTIONS
        .into_iter()
        .chain(formatted::FUNCTIONS)
        .chain(json::FUNCTIONS)
        .chain(moments::functions());
    let mut functions: Vec<ScalarUDF> = by_row.map(by_row::ByRow::function).collect();
    functions.extend(ordered::functions());
    functions.extend([series::series(), type_of::type_of()]);
    functions
}

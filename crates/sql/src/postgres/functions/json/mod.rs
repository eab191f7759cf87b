//! PostgreSQL's operators and functions of JSON, which is kept as its text.
//!
//! ```text
//! value -> 'a'  value #>> '{a,0}'             operators     as the query engine has them
//! jsonb_build_object('a', 1)  json_agg(x)     functions     as those of made, before a query is planned
//! value @> '{"a": 1}'  value ?| ARRAY['a']    asked         of two texts, when it is planned
//! ```

mod asked;
mod changed;
mod functions;
mod made;
mod members;
mod operators;
mod steps;

pub(crate) use asked::JsonAsked;
pub(crate) use changed::FUNCTIONS;
pub(crate) use functions::{arguments, elements, of_json};
pub(crate) use operators::{below_cast, operator};

use datafusion::logical_expr::ScalarUDF;

/// The functions, for a question's state.
pub(crate) fn json_functions() -> Vec<ScalarUDF> {
    let made = made::functions().into_iter();
    made.chain(asked::functions()).chain(steps::functions()).collect()
}

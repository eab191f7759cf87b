//! What PostgreSQL's clients write and the query engine does not know, said in the engine's words before a query is planned: one form a file,
//! and `dialect` takes a query through all of them.

mod choices;
mod correlated;
pub(crate) mod dialect;
mod fetched;
mod gathered;
mod groups;
mod in_order;
mod lateral;
mod lengths;
mod literals;
mod numbers;
mod operators;
mod parts;
mod quantified;
mod records;
mod renamed;
pub(crate) mod row_functions;
pub(crate) mod rows;
pub(crate) mod table_names;
mod values;
mod windows;

//! PostgreSQL's own catalog, as its clients look into it: `pg_catalog` and `information_schema`, made from what is defined here.
//!
//! A stream is a table, a materialized view a materialized view, a plain view a view, a command a procedure. What PostgreSQL has and this program does not
//! (indexes, triggers, policies, …) are tables without rows. All of it is made when it is asked for; nothing is kept.
//!
//! Source: PostgreSQL 17 documentation, "System Catalogs" and "The Information Schema".

mod any;
mod arrays;
mod ast;
mod by_row;
mod bytes;
mod choices;
mod columns;
mod correlated;
mod dialect;
mod fetched;
mod formatted;
mod functions;
mod gathered;
mod groups;
mod in_order;
mod json;
mod keywords;
mod kinds;
mod last_names;
mod lateral;
mod lengths;
mod literals;
mod moments;
mod numbers;
mod objects;
mod operators;
mod ordered;
mod parts;
mod quantified;
mod quoted;
mod records;
mod regex;
mod renamed;
mod row_functions;
mod rows;
mod schema;
mod series;
mod settings;
mod subqueries;
mod table_names;
mod tables;
mod texts;
mod to_char;
mod type_of;
mod types;
mod unlike;
mod values;
mod windows;

pub(crate) use any::AnyOfLists;
pub(crate) use arrays::ArraysOfTexts;
pub(crate) use ast::{call, first_argument, text};
pub(crate) use bytes::lengths;
pub(crate) use dialect::{as_engine_knows_it, part_as_engine_knows_it};
pub(crate) use functions::{functions, quoted};
pub(crate) use json::{JsonAsked, json_functions};
pub(crate) use keywords::KEYWORDS;
pub(crate) use last_names::LastNamesCount;
pub(crate) use quoted::{QuotedBeside, QuotedTexts};
pub(crate) use series::SERIES;
pub(crate) use settings::{SETTINGS, setting};
pub(crate) use table_names::stored as stored_name;
pub(crate) use tables::table;
pub(crate) use texts::TextsOfMoments;
pub(crate) use to_char::to_char;
pub(crate) use unlike::TextsAreNoNumbers;

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

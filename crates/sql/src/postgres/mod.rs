//! PostgreSQL's own words, for an engine that has others.
//!
//! | folder | question |
//! | --- | --- |
//! | `pg_catalog` | What do clients see of what is defined, in the tables in which PostgreSQL keeps that? |
//! | `forms` | What do they write, said in the engine's words before a plan is made? |
//! | `functions` | What do functions of values give that the engine does not have, or has otherwise? |
//!
//! `ast` makes the syntax that these put into a query.

mod ast;
mod forms;
mod functions;
mod pg_catalog;

pub(crate) use ast::{call, first_argument, text};
pub(crate) use forms::dialect::{as_engine_knows_it, part_as_engine_knows_it};
pub(crate) use forms::table_names::stored as stored_name;
pub(crate) use functions::by_row::outward;
pub(crate) use functions::bytes::lengths;
pub(crate) use functions::json::{JsonAsked, json_functions};
pub(crate) use functions::series::SERIES;
pub(crate) use functions::to_char::to_char;
pub(crate) use functions::value_functions;
pub(crate) use pg_catalog::functions::{functions, quoted};
pub(crate) use pg_catalog::keywords::KEYWORDS;
pub(crate) use pg_catalog::settings::{SETTINGS, setting};
pub(crate) use pg_catalog::tables::table;

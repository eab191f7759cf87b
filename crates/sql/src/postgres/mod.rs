//! PostgreSQL's own catalog, as its clients look into it: `pg_catalog` and `information_schema`, made from what is defined here.
//!
//! A stream is a table, a materialized view a materialized view, a plain view a view, a command a procedure. What PostgreSQL has and this program does not
//! (indexes, triggers, policies, …) are tables without rows. All of it is made when it is asked for; nothing is kept.
//!
//! Source: PostgreSQL 17 documentation, "System Catalogs" and "The Information Schema".

mod any;
mod arrays;
mod bytes;
mod choices;
mod columns;
mod correlated;
mod dialect;
mod functions;
mod json;
mod kinds;
mod last_names;
mod lateral;
mod lengths;
mod literals;
mod numbers;
mod objects;
mod parts;
mod quoted;
mod renamed;
mod row_functions;
mod rows;
mod schema;
mod settings;
mod subqueries;
mod table_names;
mod tables;
mod texts;
mod to_char;
mod types;
mod values;
mod windows;

pub(crate) use any::AnyOfLists;
pub(crate) use arrays::ArraysOfTexts;
pub(crate) use bytes::lengths;
pub(crate) use dialect::{as_engine_knows_it, call, part_as_engine_knows_it};
pub(crate) use functions::functions;
pub(crate) use json::{JsonAsked, json_functions};
pub(crate) use last_names::LastNamesCount;
pub(crate) use quoted::{QuotedBeside, QuotedTexts};
pub(crate) use settings::{SETTINGS, setting};
pub(crate) use table_names::stored as stored_name;
pub(crate) use tables::table;
pub(crate) use texts::TextsOfMoments;
pub(crate) use to_char::to_char;

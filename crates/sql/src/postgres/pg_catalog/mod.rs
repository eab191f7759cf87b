//! PostgreSQL's own catalog, as its clients look into it: `pg_catalog` and `information_schema`, made from what is defined here.
//!
//! A stream is a table, a materialized view a materialized view, a plain view a view, a command a procedure. What PostgreSQL has and this program does not
//! (indexes, triggers, policies, …) are tables without rows. All of it is made when it is asked for; nothing is kept.
//!
//! Source: PostgreSQL 17 documentation, "System Catalogs" and "The Information Schema".

mod columns;
pub(crate) mod functions;
pub(crate) mod keywords;
pub(crate) mod kinds;
pub(crate) mod objects;
mod schema;
pub(crate) mod settings;
pub(crate) mod subqueries;
pub(crate) mod tables;
mod types;

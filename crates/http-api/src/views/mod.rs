//! Views: what there are, rows by key and page by page, what a search finds, what changes, where a row came from.

mod changes;
pub(crate) mod keys;
mod lineage;
mod list;
pub(crate) mod lists;
mod page;
mod row;
mod running;
mod search;

pub(crate) use changes::follow;
pub(crate) use lineage::{lineage, origins};
pub(crate) use list::list;
pub(crate) use page::page;
pub(crate) use row::{is_of_row, row, row_at_once};
pub(crate) use search::found;

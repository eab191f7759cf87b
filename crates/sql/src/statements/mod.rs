//! One file per kind of statement.

mod alter;
mod alter_schema;
mod apply;
mod call;
mod condition;
mod create;
mod describe;
mod drop;
mod explain;
mod graph;
mod insert;
mod pipelines;
mod recurring;
mod registered;
mod replace;
mod schedules;
mod settings;
mod show;
mod table;
mod versions;

pub(crate) use alter::{Settings, alter_stream};
pub(crate) use alter_schema::alter_schema;
pub(crate) use apply::apply;
pub(crate) use call::{call_arguments, constants};
pub(crate) use create::{Declaration, create_command, create_stream, create_view, sources, text_argument, view_spec};
pub(crate) use describe::{column_names, describe, describe_name, view_columns};
pub(crate) use drop::drop;
pub(crate) use explain::{explain, explained};
pub(crate) use graph::{asked as graph_asked, create_graph};
pub(crate) use insert::insert;
pub(crate) use pipelines::start_pipelines;
pub(crate) use recurring::create_schedule;
pub(crate) use schedules::{cancel, show as show_schedules};
pub(crate) use settings::{SETTINGS, setting};
pub(crate) use show::show;

//! The tables a question reads: streams and materialized views.

mod columnar;
mod entity;
mod keys;
mod lineage;
mod node;
mod rewound;
mod stream;
mod view;

pub(crate) use columnar::ColumnarTable;
pub(crate) use keys::key_values;
pub(crate) use lineage::{LineageKey, LineageTable};
pub(crate) use node::{Node, Read, projected};
pub(crate) use rewound::RewoundTable;
pub(crate) use stream::StreamTable;
pub(crate) use view::ViewTable;

//! The tables a question reads: streams and materialized views.

mod columnar;
mod entity;
mod facets;
mod keys;
mod lineage;
mod node;
mod rewound;
mod said;
mod search;
mod searched;
mod stream;
mod view;

pub(crate) use columnar::ColumnarTable;
pub(crate) use facets::FacetsTable;
pub(crate) use keys::key_values;
pub(crate) use lineage::{LineageKey, LineageTable};
pub(crate) use node::{Node, Read, projected};
pub(crate) use rewound::RewoundTable;
pub(crate) use search::{SearchTable, SnippetOptions};
pub(crate) use searched::Searched;
pub(crate) use stream::StreamTable;
pub(crate) use view::ViewTable;

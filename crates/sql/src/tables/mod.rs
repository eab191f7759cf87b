//! The tables a question reads: streams and materialized views.

mod columnar;
mod columnar_rewound;
mod compared_rows;
mod entity;
mod facets;
mod keys;
mod lineage;
mod node;
mod order;
mod origins;
mod refolded;
mod rest;
mod rewound;
mod said;
mod search;
mod searched;
mod sources;
mod standing;
mod stream;
mod view;

pub(crate) use columnar::ColumnarTable;
pub(crate) use columnar_rewound::RewoundColumnarTable;
pub(crate) use facets::FacetsTable;
pub(crate) use keys::key_values;
pub(crate) use lineage::{After, Followed, LineageTable, Seen};
pub(crate) use node::{Node, Read, Start, projected};
pub(crate) use origins::{JoinedView, OriginsTable, address};
pub(crate) use rewound::RewoundTable;
pub(crate) use search::{SearchTable, SnippetOptions};
pub(crate) use searched::Searched;
pub(crate) use sources::{Sources, WRITTEN_AT};
pub(crate) use standing::{StandingScan, StandingScans};
pub(crate) use stream::StreamTable;
pub(crate) use view::ViewTable;

//! The tables a question reads: streams and materialized views.

mod keys;
mod rewound;
mod stream;
mod view;

pub(crate) use rewound::RewoundTable;
pub(crate) use stream::StreamTable;
pub(crate) use view::ViewTable;

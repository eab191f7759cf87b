//! What each shape keeps beside the rows.

mod graph;
pub(crate) mod memory;

use headwater_catalog::Shape;

pub use graph::EdgeEnd;
pub(crate) use graph::{Edges, link_prefix};

use crate::ViewError;
use crate::image::{Image, ImageSpec};

/// Opens what a view's shape keeps beside its rows, where it keeps anything.
pub(crate) fn open(spec: &ImageSpec<'_>) -> Result<Option<Box<dyn Image>>, ViewError> {
    match &spec.definition.shape {
        // The edges of a graph are found from both ends by links, which the store commits with the rows: see `graph`.
        // The table of a columnar view is written by a thread of its own: see `lake`.
        None | Some(Shape::Document | Shape::Memory | Shape::Graph { .. } | Shape::Columnar { .. }) => Ok(None),
        Some(shape) => Err(ViewError::Refused {
            part: format!("a view stored as {shape}"),
            hint: ": it is not there yet; write STORED AS document".to_owned(),
        }),
    }
}

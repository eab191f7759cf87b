//! What each shape keeps beside the rows.

mod graph;
pub(crate) mod memory;

use std::sync::Arc;

use headwater_catalog::Shape;

pub use graph::EdgeEnd;
pub(crate) use graph::{Edges, link_prefix};

use crate::ViewError;
use crate::image::{Image, ImageSpec};

/// Opens tables of column files: they are another crate's, so that views know nothing of object storage.
pub trait Lakes: Send + Sync {
    /// Opens a view's table, or makes it.
    fn open(&self, spec: &ImageSpec<'_>) -> Result<Box<dyn Image>, ViewError>;
}

/// Opens what a view's shape keeps beside its rows, where it keeps anything.
pub(crate) fn open(spec: &ImageSpec<'_>, lakes: Option<&Arc<dyn Lakes>>) -> Result<Option<Box<dyn Image>>, ViewError> {
    match &spec.definition.shape {
        // The edges of a graph are found from both ends by links, which the store commits with the rows: see `graph`.
        None | Some(Shape::Document | Shape::Memory | Shape::Graph { .. }) => Ok(None),
        Some(Shape::Columnar { .. }) if let Some(lakes) = lakes => lakes.open(spec).map(Some),
        Some(shape) => Err(ViewError::Refused {
            part: format!("a view stored as {shape}"),
            hint: ": it is not there yet; write STORED AS document".to_owned(),
        }),
    }
}

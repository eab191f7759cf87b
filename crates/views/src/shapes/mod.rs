//! What each shape keeps beside the rows.

mod graph;
pub(crate) mod memory;
pub mod search;

use headwater_catalog::{Shape, ViewDefinition};

pub use graph::EdgeEnd;
pub(crate) use graph::{Edges, link_prefix};

use crate::ViewError;
use crate::query::Query;
use crate::rows::image::{Image, ImageSpec};

/// Opens what a view's shape keeps beside its rows, where it keeps anything.
pub(crate) fn open(spec: &ImageSpec<'_>) -> Result<Option<Box<dyn Image>>, ViewError> {
    match &spec.definition.shape {
        // The edges of a graph are found from both ends by links, which the store commits with the rows: see `graph`.
        // The table of a columnar view is written by a thread of its own: see `lake`.
        None | Some(Shape::Document | Shape::Memory | Shape::Graph { .. } | Shape::Columnar { .. }) => Ok(None),
        Some(Shape::Search(fields)) => Ok(Some(Box::new(search::SearchImage::open(spec, fields)?))),
    }
}

/// Refuses what the shape of a view cannot be made of.
pub(crate) fn check(definition: &ViewDefinition, query: &Query) -> Result<(), ViewError> {
    if definition.settings.checkpoint_events.is_some() && (query.is_per_event || !query.keeps_checkpoints()) {
        let why = match query.is_per_event {
            true => "its rows are events, and the versions of its table are what it was",
            false => "lists, sets and what has no GROUP BY are rewound otherwise",
        };
        return Err(ViewError::Refused {
            part: "the setting 'checkpoints' of this view".to_owned(),
            hint: format!(": {why}; leave it out"),
        });
    }
    match &definition.shape {
        Some(Shape::Search(fields)) => {
            let shows_key = query.is_global() || !query.key_columns.is_empty();
            search::check(definition, fields, &query.output, shows_key)
        }
        _ => Ok(()),
    }
}

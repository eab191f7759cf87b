//! What has been defined? Definitions as events, folded into a memory image.
//!
//! Invariants
//! - The stream `_headwater.catalog` is the truth; the memory image is its fold, and a definition is visible only once its event is durable.
//! - A stream made by a Kafka client and one made by SQL are the same thing.
//! - Names are shared by streams, views, commands, recurring schedules and property graphs: one name, one thing.
//! - Every crash between a definition's event and its partitions is mended when the catalog opens.

mod alteration;
mod catalog;
mod codec;
pub mod condition;
mod definition;
mod error;
mod events;
mod events_between;
mod evolve;
mod facets;
mod graph;
mod internal;
pub mod limits;
mod replace;
mod rules;
mod shape;
pub mod value;
mod versions;

pub use catalog::{Catalog, Defined};
pub use codec::{Codec, Written, misfit, subject_of, utf8};
pub use definition::{
    Column, ColumnType, CommandDefinition, Definition, Format, FormerName, PARTITIONS_DEFAULT, Pipeline,
    ScheduleDefinition, StreamDefinition, ViewDefinition,
};
pub use error::CatalogError;
pub use events_between::came_in_between;
pub use evolve::{SchemaChange, Upcasting};
pub use facets::{ColumnFacets, FoundBy, found_by};
pub use graph::{EdgeReference, EdgeTable, GraphDefinition, GraphLabel, GraphProperty, VertexTable};
pub use internal::{CATALOG_STREAM, INTERNAL_PREFIX, PARKED_STREAM, lacking};
pub use replace::CreateMode;
pub use rules::{DECIMAL_PRECISION_MAX, check_name};
pub use shape::{SearchField, SearchKind, Shape, ViewSettings};
pub use versions::{EarlierSchema, Upcaster};

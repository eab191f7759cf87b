//! What has been defined? Definitions as events, folded into a memory image.
//!
//! Invariants
//! - The stream `_headwater.catalog` is the truth; the memory image is its fold, and a definition is visible only once its event is durable.
//! - A stream made by a Kafka client and one made by SQL are the same thing.
//! - Names are shared by streams, views, commands, recurring schedules and property graphs: one name, one thing.
//! - Every crash between a definition's event and its partitions is mended when the catalog opens.

mod came;
mod catalog;
mod codec;
pub mod condition;
mod definition;
mod events;
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

pub use came::came_in_between;
pub use catalog::{Catalog, CatalogError, CreateMode, Defined};
pub use codec::{Codec, Written, misfit, subject_of, utf8};
pub use definition::{
    Column, ColumnType, CommandDefinition, Definition, Format, FormerName, Pipeline, ScheduleDefinition,
    StreamDefinition, ViewDefinition,
};
pub use evolve::{SchemaChange, Upcasting};
pub use facets::{ColumnFacets, FoundBy, found_by};
pub use graph::{EdgeReference, EdgeTable, GraphDefinition, GraphLabel, GraphProperty, VertexTable};
pub use internal::may_be_left_out;
pub use rules::{DECIMAL_PRECISION_MAX, check_name};
pub use shape::{SearchField, SearchKind, Shape, ViewSettings};
pub use versions::{EarlierSchema, Upcaster};

/// The stream of definitions.
pub const CATALOG_STREAM: &str = "_headwater.catalog";
/// The stream of values that did not fit their stream's schema.
pub const PARKED_STREAM: &str = "_headwater.parked";
/// The prefix of the names that are ours.
pub const INTERNAL_PREFIX: &str = "_headwater.";
/// The partitions of a stream whose definition leaves them open (0) and which nobody has made before.
pub const PARTITIONS_DEFAULT: u32 = 1;

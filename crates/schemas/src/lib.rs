//! Which schema is a value written with, and may the next one follow it?
//!
//! ```text
//! register ── parse, check against the subject's versions ── append to _headwater.schemas ── durable ── fold ── the id is given out
//! a value: 0 │ id, 4 bytes │ body        who reads it asks the image by the id
//! ```
//!
//! Invariants
//! - The stream `_headwater.schemas` is the truth; the image in memory is its fold. An id is given out once its event is durable and folded: an id
//!   that the image does not know is nobody's.
//! - Ids are dense, begin with 1, and one schema (type, meaning, references) has one id, whatever its subjects. An id keeps its schema for ever, also
//!   when no subject has it any more: events are read by it.
//! - What clients send is bounded before it is parsed, and parsed before it is kept.

pub mod avro;
mod compatibility;
mod error;
mod frame;
mod image;
pub mod json;
pub mod limits;
mod parsed;
pub mod protobuf;
mod record;
mod registered;
mod registry;
mod schema;
mod version;

pub use compatibility::Level;
pub use error::SchemaError;
pub use frame::{Frame, frame};
pub use parsed::Parsed;
pub use record::SCHEMAS_STREAM;
pub use registered::Registered;
pub use registry::Schemas;
pub use schema::{Mode, Reference, Schema, SchemaType};
pub use version::{Deleted, SubjectVersion, Wanted};

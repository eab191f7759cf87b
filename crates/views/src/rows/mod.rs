//! The rows of a view, and what is kept beside them.
//!
//! ```text
//! turn ─> resident ─ flush ─> store (folder): rows and position, with entries, snapshots, history
//!            │          └───> image: what a shape keeps beside the rows
//!            └ texts          checkpoints: all rows as they were
//! ```

pub(crate) mod checkpoints;
pub(crate) mod copying;
pub(crate) mod entries;
pub(crate) mod flush;
pub(crate) mod folder;
pub(crate) mod freshness;
pub(crate) mod gone;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod keys;
pub(crate) mod left_out;
pub(crate) mod resident;
pub(crate) mod row;
pub(crate) mod snapshots;
pub(crate) mod texts;

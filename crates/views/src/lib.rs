//! Given new events: what is the new state of each view?
//!
//! Invariants
//! - A view's state at a position equals its query run over exactly the events below that position.
//! - A view commits its state and its position in one atomic write: a crash neither repeats nor skips an event.
//! - A value that does not fit its stream's schema is parked with its reason, and the view goes on.
//! - A stream is read and decoded once for all of its views.

mod caught;
pub mod decode;
mod error;
mod fold;
mod follow;
mod lake;
pub mod limits;
mod opening;
mod options;
mod order;
mod past;
mod pipelines;
mod query;
mod read;
mod rows;
mod shapes;
mod spec;
mod status;
mod unkept;
mod versions;
mod view;
mod views;

pub use caught::{Panicked, caught};
pub use error::ViewError;
pub use fold::foresee::Kept;
pub use fold::keyed::{Tombstones, as_folded};
pub use fold::lateral::elements_beside;
pub use fold::parked_again::ParkedNow;
pub use fold::touching::Doubt;
pub use follow::Paused;
pub use follow::pace::Build;
pub use headwater_stores::checkpoint::Checkpoint;
pub use headwater_stores::{Direction, Span, behind};
pub use lake::{LakeRows, LakeTable, LakeVersion, Lakes, Replaced, Standing};
pub use options::{ListsShown, ViewOptions};
pub use order::in_order_of_events;
pub use past::lineage::{Lineage, Steps};
pub use past::refold::{Refold, RowsAnew};
pub use past::rewind::{Past, Rewinding};
pub use pipelines::{
    BEFORE_COLUMN, CHANGE_COLUMN, CHANGES_OF, FROM_HEADER, JOINED_HEADER, Joined, PIPELINES_STREAM, PRINCIPAL,
    PipelineColumns, PipelineSpec, PipelineStatus, Replayed, ResultEncoder, changes_schema,
};
pub use query::partitions::unfit_partition;
pub use query::{SimplifiedApart, Source, physical, simplified};
pub use read::reader::{EdgeKeys, ViewReader};
pub use read::subscribe::{RowFilter, Subscription, Told};
pub use read::{Ask, Rows, Selection};
pub use rows::entries::{Part, Shown, page};
pub use rows::folder::Stores;
pub use rows::image::{Changes, Image, ImageSpec};
pub use rows::keys::{GroupKey, key_fields};
pub use rows::texts::RowText;
pub use shapes::{EdgeEnd, search};
pub use spec::ViewSpec;
pub use status::ViewStatus;
pub use unkept::Unkept;
pub use versions::Rebuild;
pub use view::{Found, View};
pub use views::{Followed, Together, Views};

//! Given new events: what is the new state of each view?
//!
//! Invariants
//! - A view's state at a position equals its query run over exactly the events below that position.
//! - A view commits its state and its position in one atomic write: a crash neither repeats nor skips an event.
//! - A value that does not fit its stream's schema is parked with its reason, and the view goes on.
//! - A stream is read and decoded once for all of its views.

mod careful;
mod caught;
mod checkpoints;
mod copying;
pub mod decode;
mod decoded;
mod entries;
mod error;
mod flush;
mod fold;
mod folder;
mod follow;
mod foresee;
mod freshness;
mod gone;
mod history;
mod hurry;
mod image;
mod keyed;
mod keys;
mod lag;
mod lake;
mod lateral;
mod left_out;
pub mod limits;
mod lineage;
mod log_room;
mod opening;
mod options;
mod order;
mod pace;
mod parking;
mod parts;
mod pipelines;
mod query;
mod read;
mod reader;
mod reading;
mod refold;
mod replay;
mod resident;
mod rewind;
mod row;
mod shapes;
mod share;
mod side_by_side;
mod snapshots;
mod spec;
mod stage;
mod status;
mod subscribe;
mod texts;
mod touching;
mod turn;
mod unkept;
mod unnest;
mod versions;
mod view;
mod views;

pub use caught::{Panicked, caught};
pub use entries::{Part, Shown, page};
pub use error::ViewError;
pub use folder::Stores;
pub use follow::Paused;
pub use foresee::Kept;
pub use headwater_stores::checkpoint::Checkpoint;
pub use headwater_stores::{Direction, Span, behind};
pub use image::{Changes, Image, ImageSpec};
pub use keyed::{Tombstones, as_folded};
pub use keys::{GroupKey, key_fields};
pub use lake::{LakeRows, LakeTable, LakeVersion, Lakes, Replaced, Standing};
pub use lineage::{Lineage, Steps};
pub use options::{ListsShown, ViewOptions};
pub use order::in_order_of_events;
pub use pace::Build;
pub use pipelines::{
    BEFORE_COLUMN, CHANGE_COLUMN, CHANGES_OF, FROM_HEADER, JOINED_HEADER, Joined, PIPELINES_STREAM, PRINCIPAL,
    PipelineColumns, PipelineSpec, PipelineStatus, Replayed, ResultEncoder, changes_schema,
};
pub use query::partitions::unfit_partition;
pub use query::{Source, physical};
pub use read::{Ask, Rows, Selection};
pub use reader::{EdgeKeys, ViewReader};
pub use refold::{Refold, RowsAnew};
pub use replay::ParkedNow;
pub use rewind::{Past, Rewinding};
pub use shapes::{EdgeEnd, search};
pub use spec::ViewSpec;
pub use status::ViewStatus;
pub use subscribe::{RowFilter, Subscription, Told};
pub use texts::RowText;
pub use touching::Doubt;
pub use unkept::Unkept;
pub use versions::Rebuild;
pub use view::{Found, View};
pub use views::{Followed, Together, Views};

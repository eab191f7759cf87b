//! The columns that events have in a pipeline beside those of their stream.

/// The column that says what happened to the row: `insert`, `update` or `delete`.
pub const CHANGE_COLUMN: &str = "_change";

/// What [`CHANGE_COLUMN`] says of a row that is there no more.
pub(super) const DELETE: &str = "delete";

/// The row before, as a struct; NULL where there was none.
pub const BEFORE_COLUMN: &str = "_before";

/// The columns that a slice has besides those that the query reads: an event is found again by the first, and the second is its writer's clock.
pub(super) const OFFSET: &str = "_offset";
pub(super) const TIMESTAMP: &str = "_timestamp";

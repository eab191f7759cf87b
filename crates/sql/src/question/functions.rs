//! The table functions whose first argument is the name of a view.

/// The steps of a row.
pub(super) const LINEAGE: &str = "lineage";

/// Its argument that says which steps were seen.
pub(super) const AFTER: &str = "after";

/// What the events of a row were made of.
pub(super) const ORIGINS: &str = "origins";

/// The rows that a query finds.
pub(super) const SEARCH: &str = "search";

/// How many rows it finds, by the values of a field.
pub(super) const FACETS: &str = "facets";

/// All of them.
pub(super) const VIEW_FUNCTIONS: [&str; 4] = [LINEAGE, ORIGINS, SEARCH, FACETS];

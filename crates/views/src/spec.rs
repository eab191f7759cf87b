//! What it takes to run a view.

use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::ViewDefinition;

use crate::decode::StreamDecoder;

/// What it takes to run a view: its definition and the plan of its query over its streams' tables
/// (a `TableScan` by each stream's name, with the schema of [`crate::decode::StreamDecoder::schema`]).
pub struct ViewSpec {
    /// The definition.
    pub definition: ViewDefinition,
    /// How the streams that its query reads are decoded.
    pub decoders: Vec<StreamDecoder>,
    /// The analyzed, not optimized plan of its query as it is folded (see [`crate::as_folded`]).
    pub plan: LogicalPlan,
    /// Makes physical expressions from logical ones.
    pub session: SessionState,
}

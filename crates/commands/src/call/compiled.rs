//! A command ready to be decided: its parameters and LETs are placeholders `$1`, `$2`, … of questions.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::ColumnType;
use headwater_sql::Prepared;
use headwater_sql::syntax::{Refusal, When};
use headwater_views::decode::StreamDecoder;
use parking_lot::Mutex;

/// A compiled command.
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) parameters: Vec<CompiledParameter>,
    /// Reads arguments from JSON.
    pub(crate) decoder: StreamDecoder,
    pub(crate) checks: Vec<CompiledCheck>,
    pub(crate) steps: Vec<CompiledStep>,
    pub(crate) outputs: Vec<CompiledOutput>,
    /// The names of the schedules that are cancelled.
    pub(crate) cancels: Vec<Prepared>,
    /// The names of all values: those of the parameters, then those of the LETs.
    pub(crate) names: Vec<String>,
    /// The streams below everything that is read.
    pub(crate) reads: Vec<String>,
    /// The materialized views among what is read, themselves and below plain views.
    pub(crate) views: Vec<String>,
    /// The views that were being built anew when it was compiled: once they are, more may be worked out without a plan.
    pub(crate) awaited: Vec<String>,
    /// Whether all of it is worked out without a plan: within microseconds, on rows found by their keys.
    pub(crate) is_direct: bool,
    /// Whether it does nothing besides, such as a schedule, and rows alone say what its events change: then many calls are decided together.
    pub(crate) is_simple: bool,
    /// The most bytes of events that a call of it was seen to make, where calls were decided together.
    pub(crate) made_bytes: AtomicUsize,
    /// The streams that a call of it was seen to read whole: the next one waits for others who do before it looks.
    pub(crate) read_whole: Mutex<BTreeSet<String>>,
}

/// A parameter.
pub(crate) struct CompiledParameter {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Expr>,
}

/// `CHECK (condition)` of a parameter.
pub(crate) struct CompiledCheck {
    pub(crate) parameter: String,
    pub(crate) text: String,
    /// The condition as a value.
    pub(crate) value: Prepared,
    pub(crate) span: Span,
}

/// One step of a decision.
pub(crate) enum CompiledStep {
    Let(CompiledLet),
    Require(CompiledRequire),
}

/// `LET name = value`
pub(crate) struct CompiledLet {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Gives one column; no row is NULL.
    pub(crate) question: Prepared,
    pub(crate) value_type: DataType,
}

/// `REQUIRE condition ELSE …`
pub(crate) struct CompiledRequire {
    pub(crate) text: String,
    /// A row where the condition holds: as a filter, it may be any that SQL has, `EXISTS` and `IN (SELECT …)` too.
    pub(crate) holds: Prepared,
    /// The condition as a value: for its type, and to tell NULL from false.
    pub(crate) value: Prepared,
    pub(crate) refusal: Refusal,
    pub(crate) code: Option<String>,
    pub(crate) span: Span,
}

/// `AT moment` or `AFTER span`
pub(crate) struct CompiledLater {
    pub(crate) when: When,
    /// The moment or the span.
    pub(crate) due: Prepared,
    /// What it is cancelled by.
    pub(crate) name: Option<Prepared>,
    pub(crate) span: Span,
}

/// One `INTO stream AS query`.
pub(crate) struct CompiledOutput {
    pub(crate) stream: String,
    pub(crate) later: Option<CompiledLater>,
    pub(crate) question: Prepared,
}

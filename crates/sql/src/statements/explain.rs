//! EXPLAIN: which store is asked, what is pushed into it, and what is done above.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::physical_plan::common::collect;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::displayable;

use super::table::{Cell, answer, schema};
use crate::inner::Inner;
use crate::question::{self, Deadline};
use crate::syntax::Question;
use crate::{Outcome, Session, SqlError};

/// The plan, a line a step; with `analyze` it is run, and each step says what it took.
pub(crate) async fn explain(
    inner: &Inner,
    session: &Session,
    analyze: bool,
    question: &Question,
    parameters: &[ScalarValue],
    deadline: &Deadline,
) -> Result<Outcome, SqlError> {
    let text = question::again(async || {
        let planned = question::plan(inner, session, question, parameters)?;
        let physical = planned.physical(inner, session, deadline).await?;
        if !analyze {
            return Ok(displayable(physical.as_ref()).indent(false).to_string());
        }
        let (_, rows) = planned.run(Arc::clone(&physical), deadline)?;
        collect(rows).await?;
        let plan = DisplayableExecutionPlan::with_metrics(physical.as_ref());
        Ok(plan.indent(false).to_string())
    });
    explained(&text.await?)
}

/// A text as the answer, a row a line.
pub(super) fn explained(text: &str) -> Result<Outcome, SqlError> {
    let rows = text.lines().map(|line| vec![Cell::text(line)]).collect();
    answer(schema(&explain_columns()), rows)
}

/// The columns of the answer.
pub(super) fn explain_columns() -> [(&'static str, DataType); 1] {
    [("plan", DataType::Utf8)]
}

//! Questions that are asked again and again, with other values of their parameters: by whoever decides commands, and by clients with prepared statements.
//!
//! A question that needs nothing but its parameters, the time, and rows of materialized views looked up by their whole keys is compiled once
//! ([`compile`]) and then worked out without a plan ([`run`]), within microseconds. One on entities of streams is planned once, and run with the values of
//! each time ([`standing`]). Every other question is planned each time it is asked, and gives the same answer: what is compiled, or kept, is the planner's
//! own plan.
//!
//! ```text
//! question ── plan ── taken apart ──┬─ direct: keys ─ rows ─ expressions over one row
//!                                   ├─ standing: entities of streams, read by a plan that is there
//!                                   └─ anything else in it: planned when asked
//! ```
//!
//! What many ask at once, each with values of its own, is worked out for all of them together: [`many`].
//!
//! The question of one row by its key, which a door is asked again and again, has a shorter way yet: [`point`].

mod bound;
mod compile;
mod environment;
mod lookup;
pub mod many;
mod parameters;
mod point;
mod run;
mod standing;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use headwater_views::GroupKey;

use crate::syntax::Question;
use crate::{Engine, Reads, Session, SqlError};
pub use parameters::Parameters;
pub use point::PointRead;
use run::Direct;
use standing::Standing;

/// A question with its parameters' types, ready to be asked.
pub struct Prepared {
    question: Question,
    direct: Option<Box<Direct>>,
    standing: Option<Box<Standing>>,
}

impl Prepared {
    /// The question.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Whether it is worked out without a plan.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Whether it is planned once, and run each time that it is asked; that is seen when it is asked first.
    pub fn is_planned_once(&self) -> bool {
        self.standing.as_deref().is_some_and(Standing::stands)
    }

    /// The rows that it will look up, as far as these first parameters say, and where `now()` is this.
    pub fn keys(&self, now_us: i64, parameters: &Parameters) -> Vec<(String, GroupKey)> {
        let direct = self.direct.as_ref().filter(|direct| !direct.lookups.is_empty());
        // What cannot be worked out is said when it is asked.
        direct.map_or_else(Vec::new, |direct| direct.keys(now_us, parameters).unwrap_or_default())
    }

    /// Whether it stands on the views as they are now. It gives the right answer in any case: where it does not, it is planned when it is asked.
    pub fn is_current(&self, engine: &Engine) -> bool {
        self.direct
            .as_ref()
            .is_none_or(|direct| direct.is_current(&engine.inner))
    }
}

impl Engine {
    /// Makes a question ready. `types` are those of `$1`, `$2`, …
    pub fn prepare(&self, question: Question, types: &[DataType]) -> Prepared {
        let direct = compile::direct(&self.inner, &question, types).map(Box::new);
        let standing = match &direct {
            Some(_) => None,
            None => Standing::new(&self.inner, &question, types).map(Box::new),
        };
        Prepared {
            question,
            direct,
            standing,
        }
    }

    /// Answers a prepared question and says what it read.
    pub async fn ask_prepared(
        &self,
        session: &Session,
        prepared: &Prepared,
        parameters: &Parameters,
    ) -> Result<(SchemaRef, Vec<RecordBatch>, Reads), SqlError> {
        if let Some(direct) = &prepared.direct
            && direct.is_current(&self.inner)
        {
            let (rows, reads) = direct.ask(&self.inner, session, parameters).await?;
            return Ok((Arc::clone(direct.schema()), vec![rows], reads));
        }
        if let Some(standing) = &prepared.standing
            && let Some(answer) = standing.ask(&self.inner, session, parameters).await?
        {
            return Ok(answer);
        }
        self.ask(session, &prepared.question, parameters.values()).await
    }
}

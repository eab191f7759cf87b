//! The question of a view: what it takes to run it, and its columns where it is a plain one.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use headwater_catalog::ViewDefinition;
use headwater_views::ViewSpec;
use headwater_views::decode::StreamDecoder;

use super::moment::Moments;
use super::names::Names;
use super::reads::QuestionReads;
use super::upcast;
use crate::inner::Inner;
use crate::syntax::{Question, Statement};
use crate::{SqlError, SqlState};

/// What it takes to run a materialized view from its definition.
pub(crate) fn view_spec(inner: &Inner, definition: &ViewDefinition) -> Result<ViewSpec, SqlError> {
    let parsed = inner.parsed(definition.meaning())?;
    let Statement::CreateView { question, .. } = &parsed.statement else {
        let message = format!("the definition of the view '{}' is no CREATE VIEW", definition.name);
        return Err(SqlError::new(SqlState::INTERNAL, message).hint("CREATE OR REPLACE it"));
    };
    spec_of(inner, definition, question)
}

/// The same, with its question read already.
pub(crate) fn spec_of(inner: &Inner, definition: &ViewDefinition, question: &Question) -> Result<ViewSpec, SqlError> {
    if !question.rewinds.is_empty() {
        let error = SqlError::new(
            SqlState::INVALID_DEFINITION,
            "a materialized view follows its streams and cannot be rewound in its own query",
        );
        return Err(error.hint("rewind it when you ask: SELECT … FROM view FOR SYSTEM_TIME AS OF …"));
    }
    let session = inner.starting();
    let plan = {
        let reads = QuestionReads::default();
        let moments = Moments::new(&session, Some(&[]));
        let plan = Names::new(inner, &session, &reads, &moments)
            .defining()
            .plan_of_view(definition, question)?;
        no_parameters(&plan)?;
        session
            .analyzer()
            .execute_and_check(plan, session.config_options(), |_, _| {})?
    };
    let mut decoders: Vec<StreamDecoder> = Vec::new();
    for source in &definition.sources {
        if let Some(stream) = inner.catalog.stream(source) {
            decoders.push(upcast::decoder(inner, &stream)?);
        }
    }
    Ok(ViewSpec {
        definition: definition.clone(),
        decoders,
        plan,
        session,
    })
}

/// A plain view must mean something now, too: its columns.
pub(crate) fn plain_columns(inner: &Inner, question: &Question) -> Result<SchemaRef, SqlError> {
    let state = inner.starting();
    let reads = QuestionReads::default();
    let moments = Moments::new(&state, Some(&[]));
    let names = Names::new(inner, &state, &reads, &moments).checking();
    let plan = names.plan(question, &[])?;
    no_parameters(&plan)?;
    let analyzed = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    Ok(Arc::clone(analyzed.schema().inner()))
}

/// Nobody gives a view's parameters values.
pub(crate) fn no_parameters(plan: &LogicalPlan) -> Result<(), SqlError> {
    match plan.get_parameter_names()?.into_iter().min() {
        None => Ok(()),
        Some(id) => {
            let error = SqlError::new(
                SqlState::INVALID_DEFINITION,
                format!("a view cannot have the parameter {id}"),
            );
            Err(error.hint("give the parameter where the view is asked"))
        }
    }
}

//! Everything of a definition's statement in which something is read: its queries and expressions.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Visit, Visitor};

use crate::syntax::{Command, Statement, Step};

/// Shows a visitor all of them, in their order.
pub(crate) fn visit<V: Visitor>(statement: &Statement, visitor: &mut V) -> ControlFlow<V::Break> {
    match statement {
        Statement::CreateView { question, .. } => question.query.visit(visitor),
        Statement::CreateStream {
            pipeline: Some(pipeline),
            ..
        } => pipeline.question.query.visit(visitor),
        Statement::CreateCommand { command, .. } => of_command(command, visitor),
        Statement::CreateSchedule { schedule, .. } => of_command(&schedule.command, visitor),
        _ => ControlFlow::Continue(()),
    }
}

fn of_command<V: Visitor>(command: &Command, visitor: &mut V) -> ControlFlow<V::Break> {
    for step in &command.steps {
        match step {
            Step::Let(value) => value.value.visit(visitor)?,
            Step::Require(require) => require.condition.visit(visitor)?,
        }
    }
    for output in &command.outputs {
        output.source.query.visit(visitor)?;
        if let Some(later) = &output.later {
            later.when.expr().visit(visitor)?;
            later.name.visit(visitor)?;
        }
    }
    command.cancels.visit(visitor)
}

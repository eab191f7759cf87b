//! One try of a decision: the steps in their order, then the events, everything asked at the end of the log as it was when the try began, or on rows
//! that are the same there.
//!
//! It appends nothing. What it read is the basis that its append, or its explanation, stands on.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use headwater_records::Position;
use headwater_schedules::Schedule;
use headwater_sql::later::schedule_name;
use headwater_sql::limits::INSERT_BYTES_MAX;
use headwater_sql::{Engine, Parameters, Prepared, Reads, Session, SqlError, SqlState};

use crate::CommandError;
use crate::call::compile::assignment;
use crate::call::compiled::{Compiled, CompiledLater, CompiledLet, CompiledOutput, CompiledRequire, CompiledStep};
use crate::decide::basis::Basis;
use crate::decide::explain::Trace;
use crate::decide::proposal::{Due, Made, Proposal, Verdict};
use crate::decide::refusal;
use crate::error::Refused;

/// What a try is made with.
pub(crate) struct Try<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) command: &'a Compiled,
    /// Who asks, and how long: views are read once they have got to its `after`.
    pub(crate) session: Session,
    /// The parameters' values, then those of the LETs as they are worked out.
    pub(crate) values: Parameters,
    /// Where the decision is to be explained.
    pub(crate) trace: Option<&'a mut Trace>,
    basis: Basis,
}

impl<'a> Try<'a> {
    /// A try with views that have got to `after`; on rows as they stand where it is `None`.
    pub(crate) fn new(
        engine: &'a Engine,
        command: &'a Compiled,
        session: Session,
        values: Parameters,
        after: Option<&Position>,
    ) -> Try<'a> {
        let session = Session {
            after: after.cloned(),
            ..session
        };
        Try {
            engine,
            command,
            session,
            values,
            trace: None,
            basis: Basis::default(),
        }
    }

    /// Goes through the steps; the verdict, and what it rests on.
    pub(crate) async fn run(mut self) -> Result<(Verdict, Basis), CommandError> {
        let verdict = self.verdict().await?;
        Ok((verdict, self.basis))
    }

    async fn verdict(&mut self) -> Result<Verdict, CommandError> {
        let command = self.command;
        for step in &command.steps {
            match step {
                CompiledStep::Let(value) => self.take(value).await?,
                CompiledStep::Require(require) => {
                    if let Some(refused) = self.look(require).await? {
                        return Ok(Verdict::Refused(refused));
                    }
                }
            }
        }
        let mut made: Vec<Made> = Vec::with_capacity(command.outputs.len());
        let mut bytes = 0;
        for output in &command.outputs {
            let (schema, rows) = self.ask(&output.question).await?;
            let due = match &output.later {
                Some(later) => Some(self.due(later).await?),
                None => None,
            };
            let output = self.events(output, due, &schema, &rows)?;
            let lengths = output
                .events
                .iter()
                .map(|event| event.value.as_ref().map_or(0, |value| value.len()));
            bytes += lengths.sum::<usize>();
            if bytes > INSERT_BYTES_MAX {
                let message = format!(
                    "'{}' makes more than the {INSERT_BYTES_MAX} bytes of events that are appended at once",
                    command.name
                );
                return Err(SqlError::new(SqlState::TOO_LARGE, message)
                    .hint("nothing was appended; split the command")
                    .into());
            }
            made.push(output);
        }
        let mut cancelled: Vec<String> = Vec::with_capacity(command.cancels.len());
        for name in &command.cancels {
            cancelled.push(schedule_name(&self.value(name).await?)?);
        }
        Ok(Verdict::Append(Proposal { made, cancelled }))
    }

    /// When an output's events are due.
    async fn due(&mut self, later: &CompiledLater) -> Result<Due, CommandError> {
        let value = self.value(&later.due).await?;
        let name = match &later.name {
            Some(name) => schedule_name(&self.value(name).await?)?,
            None => Schedule::new_name(),
        };
        let now_us = self.session.now_us.unwrap_or_else(|| self.engine.log().now_us());
        let due_us = later.when.due_us(&value, now_us)?;
        Ok(Due { due_us, name })
    }

    /// The one value that a question gives.
    async fn value(&mut self, question: &Prepared) -> Result<ScalarValue, CommandError> {
        let (_, rows) = self.ask(question).await?;
        Ok(one_value(&rows)?)
    }

    /// Works out a LET.
    async fn take(&mut self, value: &CompiledLet) -> Result<(), CommandError> {
        let (_, rows) = self.ask(&value.question).await?;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let found = match count {
            0 => ScalarValue::try_from(&value.value_type).map_err(SqlError::from)?,
            1 => one_value(&rows)?,
            count => {
                let message = format!("LET {} is one value, and its query found {count} rows", value.name);
                return Err(SqlError::new(SqlState::CARDINALITY, message)
                    .hint("ask for one row: by the whole key, or with an aggregate such as max(…)")
                    .into());
            }
        };
        if let Some(trace) = &mut self.trace {
            trace.took(value, &found)?;
        }
        self.values.push(found);
        Ok(())
    }

    /// Looks at a condition; what is said where it does not hold.
    async fn look(&mut self, require: &CompiledRequire) -> Result<Option<Refused>, CommandError> {
        let (_, rows) = self.ask(&require.holds).await?;
        let holds = rows.iter().any(|batch| batch.num_rows() > 0);
        if self.trace.is_some() {
            let value = match holds {
                true => Some(true),
                false => self.is_false(require).await,
            };
            if let Some(trace) = &mut self.trace {
                trace.looked(require, value);
            }
        }
        match holds {
            true => Ok(None),
            false => Ok(Some(Refused {
                text: refusal::text(&require.refusal, &self.command.names, self.values.values())?,
                code: require.code.clone(),
            })),
        }
    }

    /// Of a condition that does not hold: whether it is false rather than NULL, where that can be told.
    async fn is_false(&mut self, require: &CompiledRequire) -> Option<bool> {
        // It reads what the condition read: that is written down already.
        let trace = self.trace.take();
        let value = self.value(&require.value).await;
        self.trace = trace;
        match value {
            Ok(ScalarValue::Boolean(holds)) => holds,
            _ => None,
        }
    }

    async fn ask(&mut self, question: &Prepared) -> Result<(SchemaRef, Vec<RecordBatch>), CommandError> {
        let answer = self.engine.ask_prepared(&self.session, question, &self.values).await;
        let (schema, rows, reads): (SchemaRef, Vec<RecordBatch>, Reads) = answer?;
        self.basis.add(self.engine, &reads);
        if let Some(trace) = &mut self.trace {
            trace.read(reads);
        }
        Ok((schema, rows))
    }

    fn events(
        &self,
        output: &CompiledOutput,
        due: Option<Due>,
        schema: &SchemaRef,
        rows: &[RecordBatch],
    ) -> Result<Made, CommandError> {
        let definition = self.engine.catalog().stream(&output.stream).ok_or_else(|| {
            SqlError::new(
                SqlState::UNKNOWN_TABLE,
                format!("there is no stream '{}' to append to", output.stream),
            )
            .hint("CREATE STREAM first")
        })?;
        let encoder = self.engine.encoder(&definition)?;
        let batch = match rows {
            [only] => only.clone(),
            _ => concat_batches(schema, rows).map_err(|error| SqlError::from(DataFusionError::from(error)))?,
        };
        let mut arrays: Vec<Option<ArrayRef>> = Vec::new();
        for column in assignment(schema, &encoder.schema(), &output.stream)? {
            arrays.push(column.map(|column| Arc::clone(batch.column(column))));
        }
        let rows = encoder.assign(batch.num_rows(), &arrays)?;
        // What is due later has that moment for its timestamp.
        let timestamp_ms = if due.is_some() { -1 } else { self.engine.now_ms() };
        Ok(Made {
            due,
            stream: output.stream.clone(),
            partitions: definition.partitions,
            events: encoder.encode(&rows, timestamp_ms)?,
            rows,
            codec: encoder.codec().clone(),
        })
    }
}

/// The first column's value in the one row of an answer, in whichever batch that comes; NULL where there is none.
fn one_value(rows: &[RecordBatch]) -> Result<ScalarValue, SqlError> {
    let row = rows.iter().find(|batch| batch.num_rows() > 0);
    let value = row.map(|row| ScalarValue::try_from_array(row.column(0), 0));
    Ok(value.unwrap_or(Ok(ScalarValue::Null))?)
}

/// Looks at the CHECKs of the parameters: NULL passes, as in a table.
pub(crate) async fn check(
    engine: &Engine,
    session: &Session,
    command: &Compiled,
    values: &Parameters,
) -> Result<(), CommandError> {
    for check in &command.checks {
        let (_, rows, _) = engine.ask_prepared(session, &check.value, values).await?;
        if let ScalarValue::Boolean(Some(false)) = one_value(&rows)? {
            let message = format!(
                "the arguments of '{}' break the check of \"{}\": {}",
                command.name, check.parameter, check.text
            );
            return Err(crate::error::ArgumentFault::of(
                "check_failed",
                &check.parameter,
                message,
            ));
        }
    }
    Ok(())
}

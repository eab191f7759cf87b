//! Deciding: ask what must hold, make the events, and append them on the condition that nothing read has changed.
//!
//! ```text
//! wait for the views ── ask the conditions ── no: refused
//!        ^                    │ yes
//!        │              ask the outputs ── take the locks of the rows read ── append on condition ── done
//!        └────────────── somebody came in between: wait until the views have seen it ────┘
//!                        (again and again: hold the streams for the next try)
//! ```

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use headwater_eventlog::{Append, AppendError, Appended, Hold};
use headwater_records::{Event, Header, Position};
use headwater_sql::encode::{EventEncoder, Packed, pack};
use headwater_sql::limits::INSERT_BYTES_MAX;
use headwater_sql::statement::Question;
use headwater_sql::{Engine, Reads, Session, SqlError, SqlState};
use tokio::time::Instant;

use crate::boundary::Boundary;
use crate::commands::{Inner, outcome};
use crate::compile::{Compiled, CompiledOutput, assignment};
use crate::idempotency::Call;
use crate::limits::{CONFLICTS_BEFORE_HOLD, HOLD_MAX};
use crate::locks::{Held, Lock};
use crate::{CommandError, CommandOutcome};

/// One call on its way.
pub(crate) struct Decision {
    pub(crate) engine: Engine,
    pub(crate) commands: Arc<Inner>,
    pub(crate) session: Session,
    pub(crate) command: Arc<Compiled>,
    pub(crate) values: Vec<ScalarValue>,
    /// The idempotency key, where the call has one.
    pub(crate) call: Option<Call>,
    pub(crate) deadline: Instant,
    /// The whole time that a decision may take, for the error.
    pub(crate) decide_max: Duration,
}

/// What was appended.
pub(crate) struct Decided {
    pub(crate) packed: Vec<Packed>,
    pub(crate) appended: Appended,
}

/// The events of one output.
struct Made {
    stream: String,
    partitions: u32,
    events: Vec<Event>,
}

impl Decision {
    /// Decides, or repeats the answer to an earlier call with the same idempotency key.
    pub(crate) async fn answer(&self) -> Result<CommandOutcome, CommandError> {
        let Some(call) = &self.call else {
            return outcome(&self.decide().await?);
        };
        // Held until the call is answered: a second one with the same key waits, and then finds the answer.
        let turn = [Lock::Call(call.command.clone(), call.key.clone())];
        let _turn = self.in_time(self.commands.locks().take(turn)).await?;
        if let Some(answer) = self.repeat(call).await? {
            return Ok(answer);
        }
        let decided = self.decide().await?;
        self.commands.memory().decided(call, &decided);
        outcome(&decided)
    }

    /// The answer to an earlier call with the same key; the log is read away from the runtime's threads.
    async fn repeat(&self, call: &Call) -> Result<Option<CommandOutcome>, CommandError> {
        let commands = Arc::clone(&self.commands);
        let call = call.clone();
        let repeated = tokio::task::spawn_blocking(move || commands.memory().repeat(&call)).await;
        repeated.map_err(|join| CommandError::Log(join.to_string()))?
    }

    /// Decides, again and again until it comes through, somebody says no, or the time is over. Where others keep coming in between, the
    /// streams that are read are held for the moment that a decision takes.
    async fn decide(&self) -> Result<Decided, CommandError> {
        let mut after = self.log_end();
        let mut turn: Option<Held> = None;
        let mut conflicts = 0;
        loop {
            let mut hold: Option<Hold> = None;
            if conflicts >= CONFLICTS_BEFORE_HOLD {
                hold = Some(self.in_time(self.engine.log().hold(&self.command.reads)).await?);
                after = self.log_end();
            }
            let proposed = match &hold {
                None => self.propose(&after).await?,
                Some(_) => match tokio::time::timeout(HOLD_MAX, self.propose(&after)).await {
                    Ok(proposed) => proposed?,
                    Err(_) => {
                        conflicts = 0;
                        continue;
                    }
                },
            };
            let (boundary, made) = proposed;
            if turn.is_none() {
                let taken = self.in_time(self.commands.locks().take(boundary.locks())).await?;
                let at_once = taken.at_once;
                turn = Some(taken);
                if !at_once {
                    // Another decided on these rows while this one waited: what was read is old.
                    after = self.log_end();
                    continue;
                }
            }
            match self.append(made, boundary, hold).await? {
                Ok(decided) => return Ok(decided),
                Err(end) => {
                    // Where a transaction is open, only its end helps, and a hold would keep just that out.
                    conflicts = if self.is_undecided() { 0 } else { conflicts + 1 };
                    after.advance_all(&end);
                }
            }
        }
    }

    /// What would be appended, and what that rests on.
    async fn propose(&self, after: &Position) -> Result<(Boundary, Vec<Made>), CommandError> {
        let mut boundary = Boundary::default();
        self.ask_conditions(after, &mut boundary).await?;
        let made = self.make(after, &mut boundary).await?;
        Ok((boundary, made))
    }

    /// The time is over: because of the log, where it stopped, since then no view ever gets to its end.
    fn late(&self) -> CommandError {
        if let Some(why) = self.engine.log().stopped() {
            return CommandError::Log(format!(
                "the log stopped writing: {why}; restart when the cause is mended"
            ));
        }
        CommandError::Late(self.decide_max.as_millis() as u64)
    }

    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, CommandError> {
        tokio::time::timeout_at(self.deadline, step)
            .await
            .map_err(|_| self.late())
    }

    /// The end of every stream that is read, events that are being flushed included: a view that has got there has seen them all.
    /// No view gets past the first event of an open transaction; what comes after it is for the append's condition to look at.
    fn log_end(&self) -> Position {
        let log = self.engine.log();
        let mut end = Position::new();
        for stream in &self.command.reads {
            let partitions = log.stream(stream).map_or(0, |info| info.partitions);
            for partition in 0..partitions {
                if let Some(offsets) = log.offsets(stream, partition) {
                    let is_decided = offsets.stable == offsets.high_watermark;
                    let seen = if is_decided { offsets.end } else { offsets.stable };
                    end.set(stream, partition, seen);
                }
            }
        }
        end
    }

    /// Whether a transaction is open in a stream that is read.
    fn is_undecided(&self) -> bool {
        let log = self.engine.log();
        let open_in = |stream: &String| {
            let partitions = log.stream(stream).map_or(0, |info| info.partitions);
            let mut offsets = (0..partitions).filter_map(|partition| log.offsets(stream, partition));
            offsets.any(|offsets| offsets.stable < offsets.high_watermark)
        };
        self.command.reads.iter().any(open_in)
    }

    async fn ask(
        &self,
        question: &Question,
        after: &Position,
        boundary: &mut Boundary,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), CommandError> {
        let session = Session {
            principal: self.session.principal.clone(),
            after: Some(after.clone()),
            timeout: Some(self.deadline.saturating_duration_since(Instant::now())),
        };
        let answer = self.in_time(self.engine.ask(&session, question, &self.values)).await?;
        let (schema, rows, reads): (SchemaRef, Vec<RecordBatch>, Reads) = match answer {
            Ok(answer) => answer,
            Err(error) if error.state == SqlState::CANCELED => return Err(self.late()),
            Err(error) => return Err(error.into()),
        };
        boundary.add(&self.engine, &reads);
        Ok((schema, rows))
    }

    /// Refuses with the text of the first condition that is not true.
    async fn ask_conditions(&self, after: &Position, boundary: &mut Boundary) -> Result<(), CommandError> {
        if let Some(together) = &self.command.together {
            match self.ask(together, after, boundary).await {
                Ok((_, rows)) => return self.refuse_unless(&numbers(&rows)),
                // One condition cannot be worked out, perhaps because an earlier one does not hold: one after another, then.
                Err(CommandError::Sql(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for (question, refusal) in &self.command.requires {
            let (_, rows) = self.ask(question, after, boundary).await?;
            if numbers(&rows).is_empty() {
                return Err(CommandError::Refused(refusal.clone()));
            }
        }
        Ok(())
    }

    fn refuse_unless(&self, held: &HashSet<i64>) -> Result<(), CommandError> {
        for (index, (_, refusal)) in self.command.requires.iter().enumerate() {
            if !held.contains(&(index as i64 + 1)) {
                return Err(CommandError::Refused(refusal.clone()));
            }
        }
        Ok(())
    }

    async fn make(&self, after: &Position, boundary: &mut Boundary) -> Result<Vec<Made>, CommandError> {
        let mut made: Vec<Made> = Vec::new();
        let mut bytes = 0;
        for output in &self.command.outputs {
            let (schema, rows) = self.ask(&output.question, after, boundary).await?;
            let output = self.events(output, &schema, &rows)?;
            bytes += output
                .events
                .iter()
                .map(|event| event.value.as_ref().map_or(0, |value| value.len()))
                .sum::<usize>();
            if bytes > INSERT_BYTES_MAX {
                let message = format!(
                    "'{}' makes more than the {INSERT_BYTES_MAX} bytes of events that are appended at once",
                    self.command.name
                );
                return Err(SqlError::new(SqlState::TOO_LARGE, message)
                    .hint("nothing was appended; split the command")
                    .into());
            }
            made.push(output);
        }
        Ok(made)
    }

    fn events(&self, output: &CompiledOutput, schema: &SchemaRef, rows: &[RecordBatch]) -> Result<Made, CommandError> {
        let definition = self.engine.catalog().stream(&output.stream).ok_or_else(|| {
            SqlError::new(
                SqlState::UNKNOWN_TABLE,
                format!("there is no stream '{}' to append to", output.stream),
            )
            .hint("CREATE STREAM first")
        })?;
        let encoder = EventEncoder::new(&definition)?;
        let batch = concat_batches(schema, rows).map_err(|error| SqlError::from(DataFusionError::from(error)))?;
        let mut arrays: Vec<Option<ArrayRef>> = Vec::new();
        for column in assignment(schema, &encoder.schema(), &output.stream)? {
            arrays.push(column.map(|column| Arc::clone(batch.column(column))));
        }
        let timestamp_ms = self.engine.now_ms();
        let mut events = encoder.encode(&encoder.assign(batch.num_rows(), &arrays)?, timestamp_ms)?;
        if let Some(call) = &self.call {
            for event in &mut events {
                event.headers.push(call.header());
            }
        }
        Ok(Made {
            stream: output.stream.clone(),
            partitions: definition.partitions,
            events,
        })
    }

    /// Appends all of it or nothing. The inner error is how far the views must be before it is worth asking again.
    async fn append(
        &self,
        made: Vec<Made>,
        boundary: Boundary,
        hold: Option<Hold>,
    ) -> Result<Result<Decided, Position>, CommandError> {
        let mut packed: Vec<Packed> = Vec::new();
        for output in made {
            packed.push(pack(
                &output.stream,
                output.partitions,
                output.events,
                self.engine.next_spread(),
            ));
        }
        let mut parts: Vec<headwater_eventlog::Part> = packed.iter().flat_map(|packed| packed.parts.clone()).collect();
        if let Some(call) = &self.call {
            parts.push(call.part(&packed, self.engine.now_ms()));
        }
        if parts.is_empty() {
            let appended = Appended {
                base_offsets: Vec::new(),
                appended_at_us: 0,
                duplicate: false,
            };
            return Ok(Ok(Decided { packed, appended }));
        }
        let append = Append {
            parts,
            principal: self.session.principal.clone(),
            condition: boundary.condition(),
        };
        // Once handed over it may be in the log, so the time limit does not cut this short.
        let appended = match hold {
            Some(hold) => hold.append(append).await,
            None => self.engine.log().append(append).await,
        };
        match appended {
            Ok(appended) => Ok(Ok(Decided { packed, appended })),
            Err(AppendError::Conflict { end }) if Instant::now() < self.deadline => Ok(Err(end)),
            Err(AppendError::Conflict { .. }) => Err(self.late()),
            Err(error) => Err(CommandError::Log(error.to_string())),
        }
    }
}

/// The numbers of the conditions that hold.
fn numbers(rows: &[RecordBatch]) -> HashSet<i64> {
    let mut numbers: HashSet<i64> = HashSet::new();
    for batch in rows {
        if let Some(column) = batch
            .columns()
            .first()
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
        {
            numbers.extend(column.iter().flatten());
        }
    }
    numbers
}

/// The header by which the events of a call with an idempotency key are found again.
pub(crate) fn call_header(command: &str, key: &str) -> Header {
    Header {
        name: "headwater-call".to_owned(),
        value: Some(bytes::Bytes::from(format!("{command}/{key}"))),
    }
}

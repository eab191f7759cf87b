//! `CALL` from SQL: the same decision, answered as rows.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use headwater_sql::syntax::Command;
use headwater_sql::{Call, CallHandler, DescribedCall, Engine, SqlError, SqlState};

use crate::call::check::check;
use crate::commands::Inner;
use crate::{Arguments, CommandOutcome, Commands};

/// Hands calls of SQL to the commands. The engine holds it, and it holds the engine: weakly, so that both can go.
pub(crate) struct Handler {
    pub(crate) commands: Weak<Inner>,
}

impl Handler {
    fn commands(&self) -> Result<Arc<Inner>, SqlError> {
        self.commands
            .upgrade()
            .ok_or_else(|| SqlError::new(SqlState::IO, "the program is stopping"))
    }
}

#[async_trait]
impl CallHandler for Handler {
    async fn call(&self, call: Call<'_>) -> Result<(SchemaRef, SendableRecordBatchStream), SqlError> {
        let commands = Commands {
            inner: self.commands()?,
        };
        let arguments = Arguments::Listed(call.arguments);
        let key = call.idempotency_key.as_deref();
        let outcome = commands.call(call.session, call.command, arguments, key).await?;
        let batch = rows(&outcome)?;
        let schema = batch.schema();
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&schema), Once(Some(batch)));
        Ok((schema, Box::pin(stream)))
    }

    async fn explain(&self, call: Call<'_>, json: bool) -> Result<String, SqlError> {
        let arguments = Arguments::Listed(call.arguments);
        let explanation = self.commands()?.explain(call.session, call.command, arguments).await?;
        Ok(match json {
            true => explanation.json(),
            false => explanation.text(),
        })
    }

    fn describe(&self, command: &str) -> Result<DescribedCall, SqlError> {
        let compiled = self.commands()?.compiled(command)?;
        let names = compiled.parameters.iter().map(|parameter| parameter.name.clone());
        Ok(DescribedCall {
            parameters: names.zip(compiled.types()).collect(),
            columns: columns(),
        })
    }

    async fn check(&self, command: &Command) -> Result<Vec<String>, SqlError> {
        let engine: Engine = self.commands()?.engine.clone();
        check(&engine, command)
    }
}

/// One batch as a stream.
struct Once(Option<RecordBatch>);

impl futures::Stream for Once {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().map(Ok))
    }
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("stream", DataType::Utf8, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("event", DataType::Utf8, false),
    ]))
}

fn rows(outcome: &CommandOutcome) -> Result<RecordBatch, SqlError> {
    let mut streams: Vec<&str> = Vec::new();
    let mut partitions: Vec<i32> = Vec::new();
    let mut offsets: Vec<i64> = Vec::new();
    let mut events: Vec<&str> = Vec::new();
    for event in &outcome.events {
        streams.push(&event.address.stream);
        partitions.push(i32::try_from(event.address.partition).unwrap_or(i32::MAX));
        offsets.push(i64::try_from(event.address.offset).unwrap_or(i64::MAX));
        events.push(&event.json);
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(streams)),
        Arc::new(Int32Array::from(partitions)),
        Arc::new(Int64Array::from(offsets)),
        Arc::new(StringArray::from(events)),
    ];
    Ok(RecordBatch::try_new(columns(), arrays).map_err(DataFusionError::from)?)
}

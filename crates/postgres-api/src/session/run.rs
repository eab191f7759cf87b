//! Statements on the questions' runtime, and their rows coming back batch by batch.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use headwater_records::Position;
use headwater_sql::syntax::{Parsed, Question, Statement};
use headwater_sql::{
    Described, Engine, Outcome, PointRead, Progress, ScalarValue, Session, SessionZone, SqlError, SqlState,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How many batches wait for a slow reader before the question pauses.
const BATCHES_AHEAD: usize = 2;

/// What a statement gave.
pub(crate) enum Answer {
    /// Rows, as they come.
    Rows(RowStream),
    /// Done.
    Done {
        tag: String,
        position: Option<Position>,
        notices: Vec<String>,
    },
}

/// Rows on their way from the questions' runtime. Dropping it ends a question; a write goes on to its end.
pub(crate) struct RowStream {
    pub schema: SchemaRef,
    /// Up to where the log must be folded to see what was written, where something was.
    pub position: Option<Position>,
    /// Where the question counts the events that it reads, where its client wants to know.
    pub progress: Option<Arc<Progress>>,
    /// In which zone its moments are shown.
    pub zone: Option<SessionZone>,
    batches: mpsc::Receiver<Result<Option<RecordBatch>, SqlError>>,
    ended: bool,
    _task: Task,
}

impl RowStream {
    /// The next batch; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if self.ended {
            return Ok(None);
        }
        let item = self.batches.recv().await.unwrap_or_else(|| Err(broken()));
        self.ended = !matches!(item, Ok(Some(_)));
        item
    }
}

/// A task that ends with its owner, if it only reads.
struct Task {
    task: JoinHandle<()>,
    writes: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.writes {
            self.task.abort();
        }
    }
}

/// Whether a statement may write to the log.
pub(crate) fn writes(statement: &Statement) -> bool {
    !matches!(
        statement,
        Statement::Query(_)
            | Statement::Subscribe(_)
            | Statement::Explain { .. }
            | Statement::ExplainCall { .. }
            | Statement::Show(_)
            | Statement::Describe(_)
            | Statement::Cursor(_)
            | Statement::Session { .. }
    )
}

/// Runs a statement on `questions`.
pub(crate) async fn run(
    questions: &Handle,
    engine: &Engine,
    session: Session,
    parsed: Parsed,
    parameters: Vec<ScalarValue>,
) -> Result<Answer, SqlError> {
    let (answer_in, answer) = oneshot::channel();
    let (batches_in, batches) = mpsc::channel(BATCHES_AHEAD);
    let engine = engine.clone();
    let writes = writes(&parsed.statement);
    let (progress, zone) = (session.progress.clone(), session.zone.clone());
    let task = questions.spawn(async move {
        let outcome = engine.execute(&session, &parsed, &parameters).await;
        let mut rows = match outcome {
            Ok(Outcome::Rows {
                schema, rows, position, ..
            }) => {
                // Whoever asked may be gone: then nobody needs the rows.
                if answer_in.send(Ok(Head::Rows(schema, position))).is_err() {
                    return;
                }
                rows
            }
            Ok(Outcome::Done { tag, position }) => {
                let notices = Vec::new();
                let _ = answer_in.send(Ok(Head::Done { tag, position, notices }));
                return;
            }
            Ok(Outcome::Told { tag, notices }) => {
                let position = None;
                let _ = answer_in.send(Ok(Head::Done { tag, position, notices }));
                return;
            }
            Err(error) => {
                let _ = answer_in.send(Err(error));
                return;
            }
        };
        while let Some(batch) = rows.next().await {
            let batch = batch.map(Some).map_err(SqlError::from);
            let last = batch.is_err();
            if batches_in.send(batch).await.is_err() || last {
                return;
            }
        }
        let _ = batches_in.send(Ok(None)).await;
    });
    let task = Task { task, writes };
    match answer.await.unwrap_or_else(|_| Err(broken()))? {
        Head::Rows(schema, position) => Ok(Answer::Rows(RowStream {
            schema,
            position,
            progress,
            zone,
            batches,
            ended: false,
            _task: task,
        })),
        Head::Done { tag, position, notices } => Ok(Answer::Done { tag, position, notices }),
    }
}

enum Head {
    Rows(SchemaRef, Option<Position>),
    Done {
        tag: String,
        position: Option<Position>,
        notices: Vec<String>,
    },
}

/// What a statement takes and gives, found out on `questions`.
pub(crate) async fn describe(
    questions: &Handle,
    engine: &Engine,
    session: Session,
    parsed: Parsed,
    declared: Vec<Option<DataType>>,
) -> Result<Described, SqlError> {
    let engine = engine.clone();
    let task = questions.spawn(async move { engine.describe(&session, &parsed, &declared).await });
    task.await.unwrap_or_else(|_| Err(broken()))
}

/// A question as a look-up of one row, where it is one; found out on `questions`.
pub(crate) async fn point_read(
    questions: &Handle,
    engine: &Engine,
    question: &Question,
    types: Vec<DataType>,
) -> Option<Arc<PointRead>> {
    let (engine, question) = (engine.clone(), question.clone());
    let task = questions.spawn(async move { engine.point_read(&question, &types) });
    // One that broke off is planned as any other.
    task.await.ok().flatten().map(Arc::new)
}

/// The task ended without an answer: it panicked, or the program is stopping.
pub(super) fn broken() -> SqlError {
    SqlError::new(
        SqlState::INTERNAL,
        "the statement broke off inside of the program; its log says why",
    )
}

/// The position just after the events that a CALL's rows name.
pub(crate) fn position_of(batch: &RecordBatch) -> Position {
    let mut position = Position::new();
    let column = |name: &str, data_type: DataType| cast(batch.column_by_name(name)?, &data_type).ok();
    let streams = column("stream", DataType::Utf8);
    let (partitions, offsets) = (column("partition", DataType::Int64), column("offset", DataType::Int64));
    let (Some(streams), Some(partitions), Some(offsets)) = (streams, partitions, offsets) else {
        return position;
    };
    let (streams, partitions, offsets) = (
        streams.as_string::<i32>(),
        partitions.as_primitive::<Int64Type>(),
        offsets.as_primitive::<Int64Type>(),
    );
    for row in 0..batch.num_rows() {
        if streams.is_null(row) || partitions.is_null(row) || offsets.is_null(row) {
            continue;
        }
        if let (Ok(partition), Ok(offset)) = (u32::try_from(partitions.value(row)), u64::try_from(offsets.value(row))) {
            position.advance(streams.value(row), partition, offset + 1);
        }
    }
    position
}

//! The statements: what a text says, before anything is looked up.

mod append;
mod command;
mod graph;

use std::fmt;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::{CreateMode, SchemaChange, Shape, StreamDefinition, ViewSettings};
use headwater_eventlog::StreamSettings;
use headwater_schedules::{Missed, Recurrence};

use crate::{Place, SqlError};

pub use append::{ConditionTerm, Copy, CopyForm, CopyInto, CopyLines, Insert, InsertCondition, Later, Returned, When};
pub use command::{Check, Command, Let, Output, Parameter, Refusal, RefusalPart, Require, Step};
pub use graph::{EdgeClause, EndClause, PropertyGraph, VertexClause};

/// One statement of a text.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Its own text, without the semicolon.
    pub text: String,
    /// Where it begins. Spans inside of the statement count from the beginning of the whole text.
    pub place: Place,
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `CREATE STREAM name (…) KEY (…) TIME (…) WITH (…) [[FROM BEGINNING | FROM NOW] AS query]`
    CreateStream {
        /// The stream. Its `partitions` are 0 where the statement does not say: the catalog then keeps those that are there,
        /// and whoever defines a new stream puts its default in.
        definition: StreamDefinition,
        /// What `WITH (…)` sets of how the log keeps it.
        settings: Box<StreamSettings>,
        /// The query whose results are its events, where there is one.
        pipeline: Option<Box<PipelineQuery>>,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `ALTER STREAM name ADD COLUMN …`, `UPCAST FROM VERSION …`, …
    AlterSchema {
        /// The stream.
        name: Name,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// What is to change: all of it or nothing.
        changes: Vec<SchemaChange>,
        /// The statement's words alone: the same change, however it is laid out.
        words: String,
    },
    /// `ALTER STREAM name SET (…)` or `RESET (…)`
    AlterStream {
        /// The stream.
        name: Name,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// What is set.
        set: Box<StreamSettings>,
        /// What is taken back, by the log's names.
        reset: Vec<String>,
        /// Why one of the values cannot be, where that is so.
        refused: Option<Box<SqlError>>,
    },
    /// `ALTER MATERIALIZED VIEW name REBUILD`
    RebuildView {
        /// The view.
        name: Name,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
    /// `CREATE [MATERIALIZED] VIEW name [STORED AS shape] [KEY (…)] [WITH (…)] AS SELECT …`; materialized and without a shape it is a document view.
    CreateView {
        /// The name.
        name: String,
        /// The shape; `None`: a plain view.
        shape: Option<Shape>,
        /// The columns of `KEY (…)`.
        key: Vec<String>,
        /// How it is kept.
        settings: ViewSettings,
        /// Its query.
        question: Question,
        /// The text of its query.
        query_text: String,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `CREATE COMMAND name (…) INTO … REQUIRE … AS …`
    CreateCommand {
        /// The command.
        command: Command,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `CREATE SCHEDULE name EVERY … | CRON … [STARTING …] [CATCH UP …] INTO stream AS query`
    CreateSchedule {
        /// The schedule.
        schedule: Box<RecurringSchedule>,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `CREATE PROPERTY GRAPH name VERTEX TABLES (…) EDGE TABLES (…)`
    CreateGraph {
        /// The graph.
        graph: Box<PropertyGraph>,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `INSERT INTO stream [(columns)] [AT … | AFTER …] VALUES … | SELECT … [IF …] [RETURNING …]`
    Insert(Box<Insert>),
    /// `COPY … FROM STDIN`, `COPY … TO STDOUT`. Only a PostgreSQL connection carries such data.
    Copy(Box<Copy>),
    /// `SELECT …`, `WITH …`, `VALUES …`, `TABLE …`
    Query(Question),
    /// `EXPLAIN [(FORMAT JSON)] CALL command(…)`: what the call would do, and why.
    ExplainCall {
        /// The command.
        command: Name,
        /// Its arguments.
        arguments: Vec<Argument>,
        /// Whether the answer is one JSON document.
        json: bool,
    },
    /// `EXPLAIN [ANALYZE] SELECT …`
    Explain {
        /// Whether it is run.
        analyze: bool,
        /// The question.
        question: Question,
    },
    /// `CALL command(…)`
    Call {
        /// The command.
        command: Name,
        /// Its arguments.
        arguments: Vec<Argument>,
        /// What makes a retry the same call.
        idempotency_key: Option<ast::Expr>,
    },
    /// `CANCEL name`
    Cancel {
        /// The name of the schedule.
        name: ast::Expr,
    },
    /// `SUBSCRIBE TO view [WHERE condition] [FROM POSITION '…']`
    Subscribe(Box<Subscribe>),
    /// `SHOW STREAMS`, `SHOW VIEWS`, …
    Show(Show),
    /// `DESCRIBE name`
    Describe(Name),
    /// `DROP STREAM|VIEW|MATERIALIZED VIEW|COMMAND [IF EXISTS] name`
    Drop {
        /// `stream`, `view`, `materialized view` or `command`.
        noun: &'static str,
        /// The name.
        name: Name,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
    /// `DECLARE … CURSOR`, `FETCH`, `CLOSE`: what a session does with a question that it reads step by step. Only a door has sessions.
    Cursor(CursorStep),
    /// `SET …`, `BEGIN`, `COMMIT`, `ROLLBACK`, `DISCARD`, `DEALLOCATE …`: what PostgreSQL clients send on their own. The tag is the answer.
    Session {
        /// The command tag of the answer.
        tag: &'static str,
    },
}

/// What is done with a cursor.
#[derive(Debug, Clone)]
pub enum CursorStep {
    /// `DECLARE name CURSOR [WITH HOLD] FOR query`
    Declare {
        /// Its name.
        name: String,
        /// Whether it outlives the transaction block.
        is_held: bool,
        /// The query.
        query: Box<Parsed>,
    },
    /// `FETCH [FORWARD] rows FROM name`
    Fetch {
        /// Its name.
        name: String,
        /// How many rows; `None`: all that are left.
        rows: Option<u64>,
    },
    /// `CLOSE name`
    Close {
        /// Its name.
        name: String,
    },
}

/// `[FROM BEGINNING | FROM NOW] AS query`: what makes a stream's events.
#[derive(Debug, Clone)]
pub struct PipelineQuery {
    /// The query.
    pub question: Question,
    /// Its text.
    pub text: String,
    /// Where a new one begins, as far as that is said.
    pub begins: Option<PipelineBegins>,
}

/// Where a new pipeline begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineBegins {
    /// With the oldest event that is there.
    Beginning,
    /// With the events that come from now on.
    Now,
}

impl fmt::Display for PipelineBegins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PipelineBegins::Beginning => "BEGINNING",
            PipelineBegins::Now => "NOW",
        })
    }
}

/// A subscription as written.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The view.
    pub view: Name,
    /// The text of the condition that its rows are to meet.
    pub filter: Option<String>,
    /// The position from which on changes are told; `None`: all rows first.
    pub from: Option<ast::Expr>,
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name (lower case unless quoted).
    pub value: String,
    /// Where.
    pub span: Span,
}

/// A recurring schedule as written.
#[derive(Debug, Clone)]
pub struct RecurringSchedule {
    /// What each tick does: a command whose one parameter is `tick`, its nominal time.
    pub command: Command,
    /// When ticks come.
    pub recurrence: Recurrence,
    /// The same as it is written: `every 1 day`, `cron 0 3 * * *`.
    pub rule: String,
    /// The first tick, or from when on they come, microseconds since 1970; `None`: from the creation on.
    pub starting_us: Option<i64>,
    /// What becomes of ticks that were missed.
    pub missed: Missed,
}

/// A question, with its rewinds taken out of the text.
#[derive(Debug, Clone)]
pub struct Question {
    /// The query.
    pub query: Box<ast::Query>,
    /// The rewinds: each belongs to the table whose name's span is given.
    pub rewinds: Vec<Rewind>,
}

/// `FOR … AS OF …` behind a table's name.
#[derive(Debug, Clone)]
pub struct Rewind {
    /// The span of the table's name; of its last part where it is qualified.
    pub table: Span,
    /// To when.
    pub to: Moment,
}

/// A moment that a table is rewound to.
#[derive(Debug, Clone)]
pub enum Moment {
    /// `FOR SYSTEM_TIME AS OF TIMESTAMP '…'` (or any constant expression of a time): by `_appended_at`.
    SystemTime(ast::Expr),
    /// `FOR SYSTEM_TIME AS OF POSITION '…'`
    Position(ast::Expr),
    /// `FOR BUSINESS_TIME AS OF DATE|TIMESTAMP '…'`: by the stream's `TIME` column; a date means the end of that day.
    BusinessTime(ast::Expr),
}

/// An argument of a call: `value`, or `name => value`.
#[derive(Debug, Clone)]
pub struct Argument {
    /// The parameter, where it is named.
    pub name: Option<Name>,
    /// The value, a constant.
    pub value: ast::Expr,
}

impl Moment {
    /// Whether it is one of business time.
    pub fn is_business(&self) -> bool {
        matches!(self, Moment::BusinessTime(_))
    }
}

/// What `SHOW` lists.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// Streams.
    Streams,
    /// Views.
    Views,
    /// Commands.
    Commands,
    /// Pipelines.
    Pipelines,
    /// What is to be appended later.
    Schedules,
    /// Property graphs.
    Graphs,
    /// Streams and views, as PostgreSQL's `SHOW TABLES`.
    Tables,
    /// A setting that PostgreSQL clients ask for, such as `server_version`.
    Setting(String),
}

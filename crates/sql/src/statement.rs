//! The statements: what a text says, before anything is looked up.

use std::fmt;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::{ColumnType, CreateMode, GraphLabel, SchemaChange, Shape, StreamDefinition, ViewSettings};
use headwater_eventlog::StreamSettings;
use headwater_schedules::{Missed, Recurrence};

use crate::{Place, SqlError};

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
        /// `stream`, `view` or `command`.
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

/// A property graph as written.
#[derive(Debug, Clone)]
pub struct PropertyGraph {
    /// The name.
    pub name: Name,
    /// `VERTEX TABLES (…)`
    pub vertices: Vec<VertexClause>,
    /// `EDGE TABLES (…)`
    pub edges: Vec<EdgeClause>,
}

/// `view [AS alias] [KEY (column)] [label …]`
#[derive(Debug, Clone)]
pub struct VertexClause {
    /// The view.
    pub view: Name,
    /// What the graph calls it.
    pub alias: String,
    /// The column that tells its vertices apart; `None`: that of the view's key.
    pub key: Option<Name>,
    /// Its labels.
    pub labels: Vec<GraphLabel>,
}

/// `view [AS alias] SOURCE … DESTINATION … [label …]`
#[derive(Debug, Clone)]
pub struct EdgeClause {
    /// The view.
    pub view: Name,
    /// What the graph calls it.
    pub alias: String,
    /// Where its edges go out from.
    pub source: EndClause,
    /// Where they lead to.
    pub destination: EndClause,
    /// Its labels.
    pub labels: Vec<GraphLabel>,
}

/// `[KEY (column) REFERENCES] vertices [(column)]`
#[derive(Debug, Clone)]
pub struct EndClause {
    /// The column of the edges; `None`: that of the graph view.
    pub key: Option<Name>,
    /// The vertex table.
    pub vertices: Name,
    /// Its key.
    pub column: Option<Name>,
}

/// `{ AT moment | AFTER span } [NAMED name]`: events that are appended later.
#[derive(Debug, Clone)]
pub struct Later {
    /// When.
    pub when: When,
    /// What they are cancelled by; `None`: a name that nobody else has.
    pub name: Option<ast::Expr>,
    /// Where it stands.
    pub span: Span,
}

/// When events are due.
#[derive(Debug, Clone)]
pub enum When {
    /// `AT moment`
    At(ast::Expr),
    /// `AFTER span`
    After(ast::Expr),
}

impl When {
    /// The expression, whichever it is.
    pub fn expr(&self) -> &ast::Expr {
        match self {
            When::At(expr) | When::After(expr) => expr,
        }
    }
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

/// An INSERT as written.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The stream.
    pub stream: Name,
    /// The columns named; empty: all in order.
    pub columns: Vec<Name>,
    /// When, where it is not at once.
    pub later: Option<Box<Later>>,
    /// The rows.
    pub source: Question,
    /// What must hold for them to be appended.
    pub condition: Option<InsertCondition>,
    /// What is answered of them; empty: how many there are.
    pub returning: Vec<Returned>,
}

/// One item of `RETURNING`.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// `*`: the stream's columns.
    All,
    /// `column [[AS] name]`
    Column {
        /// The column, or a system column.
        column: Name,
        /// What the answer calls it.
        name: String,
    },
}

/// A COPY as written.
#[derive(Debug, Clone)]
pub enum Copy {
    /// `COPY stream [(columns)] FROM STDIN`
    In {
        /// What is appended to.
        into: CopyInto,
        /// How rows are written.
        form: CopyForm,
    },
    /// `COPY stream [(columns)] TO STDOUT`, `COPY (query) TO STDOUT`
    Out {
        /// What is asked.
        query: Box<Parsed>,
        /// How rows are written.
        form: CopyForm,
    },
}

/// What a COPY appends to.
#[derive(Debug, Clone)]
pub struct CopyInto {
    /// The stream.
    pub stream: Name,
    /// The columns named; empty: all in order.
    pub columns: Vec<Name>,
}

/// How the rows of a COPY are written: PostgreSQL's text format, or CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyForm {
    /// Whether it is CSV.
    pub is_csv: bool,
    /// What stands between two values.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Whether the first line names the columns.
    pub has_header: bool,
    /// What a value of CSV is quoted with.
    pub quote: u8,
    /// What stands before a quote inside of a quoted value.
    pub escape: u8,
}

/// `IF term [AND term …] [AFTER POSITION '…']` behind the rows of an INSERT: all of it must hold.
#[derive(Debug, Clone)]
pub struct InsertCondition {
    /// The terms.
    pub terms: Vec<ConditionTerm>,
    /// From where on `NOT EXISTS` counts; `None`: from the beginning.
    pub after: Option<ast::Expr>,
}

/// One term of what an INSERT depends on.
#[derive(Debug, Clone)]
pub enum ConditionTerm {
    /// `VERSION = '2@17'`; `VERSION IS NULL`: `None`.
    Version(Option<ast::Expr>),
    /// `NOT EXISTS (SELECT FROM stream [WHERE …])`
    NotExists {
        /// The stream.
        stream: Name,
        /// Which of its events.
        filter: Option<ast::Expr>,
    },
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

/// A command as written.
#[derive(Debug, Clone)]
pub struct Command {
    /// The name.
    pub name: Name,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
    /// What is looked at, in order.
    pub steps: Vec<Step>,
    /// What it appends, all or none.
    pub outputs: Vec<Output>,
    /// The names of the schedules that it cancels, in the same step.
    pub cancels: Vec<ast::Expr>,
}

impl Command {
    /// What must hold, in order.
    pub fn requires(&self) -> impl Iterator<Item = &Require> {
        self.steps.iter().filter_map(|step| match step {
            Step::Require(require) => Some(require),
            Step::Let(_) => None,
        })
    }
}

/// A parameter of a command: `name TYPE [NOT NULL] [DEFAULT value] [CHECK (condition)] …`
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name.
    pub name: Name,
    /// The type.
    pub column_type: ColumnType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What it is where a call does not say.
    pub default: Option<ast::Expr>,
    /// What must hold of the arguments, as of a table's columns: NULL passes.
    pub checks: Vec<Check>,
}

/// `CHECK (condition)` of a parameter.
#[derive(Debug, Clone)]
pub struct Check {
    /// The condition.
    pub condition: ast::Expr,
    /// Where it stands.
    pub span: Span,
}

/// One step of a decision.
#[derive(Debug, Clone)]
pub enum Step {
    /// A value gets a name.
    Let(Let),
    /// Something must hold.
    Require(Require),
}

/// `LET name = value`: worked out once for each decision.
#[derive(Debug, Clone)]
pub struct Let {
    /// The name.
    pub name: Name,
    /// The value.
    pub value: ast::Expr,
}

/// `REQUIRE condition ELSE 'refusal' [CODE 'code']`
#[derive(Debug, Clone)]
pub struct Require {
    /// The condition.
    pub condition: ast::Expr,
    /// The text of the refusal.
    pub refusal: Refusal,
    /// What a program tells the refusal by.
    pub code: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// The text of a refusal: plain text, and values that are put in when it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its parts, in order.
    pub parts: Vec<RefusalPart>,
}

/// A part of a refusal's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalPart {
    /// Said as it is.
    Plain(String),
    /// `{name}`: the value of a parameter or a LET.
    Value(String),
}

/// `INTO stream [AT … | AFTER …] AS query`: the columns of the query are the stream's, in order, or by name where all names match.
#[derive(Debug, Clone)]
pub struct Output {
    /// The stream.
    pub stream: Name,
    /// When, where it is not at once.
    pub later: Option<Box<Later>>,
    /// The rows.
    pub source: Question,
}

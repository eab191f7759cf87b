//! The statements: what a text says, before anything is looked up.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::{ColumnType, CreateMode, Shape, StreamDefinition};
use headwater_eventlog::StreamSettings;

use crate::Place;

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
    /// `CREATE STREAM name (…) KEY (…) TIME (…) WITH (…)`
    CreateStream {
        /// The stream. Its `partitions` are 0 where the statement does not say: the catalog then keeps those that are there,
        /// and whoever defines a new stream puts its default in.
        definition: StreamDefinition,
        /// What `WITH (…)` sets of how the log keeps it.
        settings: Box<StreamSettings>,
        /// Where the name is taken.
        mode: CreateMode,
    },
    /// `ALTER STREAM name SET (…)` or `RESET (…)`
    AlterStream {
        /// The stream.
        name: Name,
        /// What is set.
        set: Box<StreamSettings>,
        /// What is taken back, by the log's names.
        reset: Vec<String>,
    },
    /// `CREATE [MATERIALIZED] VIEW name [STORED AS shape] [KEY (…)] AS SELECT …`; materialized and without a shape it is a document view.
    CreateView {
        /// The name.
        name: String,
        /// The shape; `None`: a plain view.
        shape: Option<Shape>,
        /// The columns of `KEY (…)`.
        key: Vec<String>,
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
    /// `INSERT INTO stream [(columns)] VALUES … | SELECT …`
    Insert {
        /// The stream.
        stream: Name,
        /// The columns named; empty: all in order.
        columns: Vec<Name>,
        /// The rows.
        source: Question,
    },
    /// `SELECT …`, `WITH …`, `VALUES …`, `TABLE …`
    Query(Question),
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
        /// Its arguments, in order.
        arguments: Vec<ast::Expr>,
    },
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
    /// `SET …`, `BEGIN`, `COMMIT`, `ROLLBACK`, `DISCARD`, `DEALLOCATE …`: what PostgreSQL clients send on their own. The tag is the answer.
    Session {
        /// The command tag of the answer.
        tag: &'static str,
    },
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name (lower case unless quoted).
    pub value: String,
    /// Where.
    pub span: Span,
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

/// What `SHOW` lists.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// Streams.
    Streams,
    /// Views.
    Views,
    /// Commands.
    Commands,
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
    /// What must hold, in order.
    pub requires: Vec<Require>,
    /// What it appends, all or none.
    pub outputs: Vec<Output>,
}

/// A parameter of a command.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name.
    pub name: Name,
    /// The type.
    pub column_type: ColumnType,
}

/// `REQUIRE condition ELSE 'refusal'`
#[derive(Debug, Clone)]
pub struct Require {
    /// The condition.
    pub condition: ast::Expr,
    /// The text of the refusal.
    pub refusal: String,
    /// Where it stands.
    pub span: Span,
}

/// `INTO stream AS query`: the columns of the query are the stream's, in order, or by name where all names match.
#[derive(Debug, Clone)]
pub struct Output {
    /// The stream.
    pub stream: Name,
    /// The rows.
    pub source: Question,
}

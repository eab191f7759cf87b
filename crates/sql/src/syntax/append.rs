//! What appends: `INSERT`, `COPY`, and what is said of when and on which condition.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::{Name, Parsed, Question};

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

/// How the rows of a COPY are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyForm {
    /// Line by line.
    Lines(CopyLines),
    /// PostgreSQL's binary format.
    Binary,
}

/// Rows as lines: PostgreSQL's text format, or CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLines {
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

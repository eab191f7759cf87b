//! What `CREATE COMMAND` says.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_catalog::ColumnType;

use super::{Later, Name, Question};

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

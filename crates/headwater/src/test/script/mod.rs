//! The text of a test file, read into steps. `docs/tests.md` is its description.
//!
//! ```text
//! text ─> blocks (a keyword's line and what is indented below it) ─> steps ─> tests
//! ```

mod blocks;
mod steps;
mod time;

use blocks::{blocks, keyword, no_body, quoted, refuse};
use steps::step;

/// A test file.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// Its tests, in order.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, PartialEq, Eq)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// The line of its name, from 1.
    pub line: usize,
    /// What is done and expected, in order.
    pub steps: Vec<Step>,
}

/// One step of a test.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of its keyword, from 1.
    pub line: usize,
    /// What it says.
    pub kind: StepKind,
}

/// What a step says.
#[derive(Debug, PartialEq, Eq)]
pub enum StepKind {
    /// `AT time`: from here on it is this time, microseconds since 1970.
    At(i64),
    /// `ADVANCE duration`: so much time passes, in microseconds.
    Advance(i64),
    /// `GIVEN stream`, then a JSON object a line: events that are in the stream.
    Given {
        /// The stream.
        stream: String,
        /// The events.
        events: Vec<GivenEvent>,
    },
    /// `WHEN statement`, or `WHEN APPEND stream`: it is done.
    When(Action),
    /// `WHEN AT ONCE`, then a statement or an append a line, also `N TIMES statement`: all of them are done at the same time.
    AtOnce(Vec<Attempt>),
    /// `THEN N SUCCEED`: so many of the statements that were run at once did.
    Succeed(usize),
    /// `THEN [N] REFUSED 'text' CODE 'code'`, or one of both: a command's REQUIRE said no, with this ELSE text and this code, or what an append
    /// depends on does not hold; `N`: to so many of those run at once.
    Refused {
        /// To how many.
        count: Option<usize>,
        /// With what.
        refusal: Refusal,
    },
    /// `THEN [N] ERROR 'text'`: the statement failed, and this is part of the error; `N`: so many of those run at once.
    Error {
        /// How many.
        count: Option<usize>,
        /// The part.
        text: String,
    },
    /// `THEN EVENTS stream`, then a JSON object a line: exactly these events the statement appended to the stream.
    Events {
        /// The stream.
        stream: String,
        /// Each event.
        events: Vec<String>,
    },
    /// `THEN ROWS question`, then `| value | value |` a line: exactly these rows answer it.
    Rows {
        /// The question.
        question: String,
        /// The values of each row.
        rows: Vec<Vec<String>>,
    },
}

/// What is expected of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The text, where one is expected.
    pub text: Option<String>,
    /// The code, where one is expected.
    pub code: Option<String>,
}

/// One event of a GIVEN.
#[derive(Debug, PartialEq, Eq)]
pub struct GivenEvent {
    /// Its line, from 1.
    pub line: usize,
    /// When it is appended, microseconds since 1970, where that is said.
    pub at_us: Option<i64>,
    /// A JSON object.
    pub json: String,
}

/// What a WHEN does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A statement is run.
    Statement(String),
    /// `APPEND stream [IF …]`, then a JSON object a line: these events are appended in one step, if the condition holds.
    Append {
        /// The stream.
        stream: String,
        /// `IF …`, as behind an INSERT; empty where the append depends on nothing.
        condition: String,
        /// The events.
        events: Vec<String>,
    },
}

/// One of the things that are done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its line, from 1.
    pub line: usize,
    /// What it does.
    pub action: Action,
}

/// A text that is no test file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to write.
    pub what: String,
}

impl Script {
    /// Reads a test file.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut tests: Vec<Test> = Vec::new();
        for block in blocks(text)? {
            if let Some(name) = keyword(block.head, "TEST") {
                let name = quoted(name, block.line, '"')?;
                no_body(&block)?;
                tests.push(Test {
                    name,
                    line: block.line,
                    steps: Vec::new(),
                });
                continue;
            }
            let Some(test) = tests.last_mut() else {
                let what = "a step stands before the first test: begin with test \"what it shows\"";
                return refuse(block.line, what);
            };
            test.steps.push(step(&block, &test.steps)?);
        }
        let expects = |test: &&Test| !test.steps.iter().any(|step| step.kind.expects());
        match tests.iter().find(expects) {
            Some(test) => refuse(
                test.line,
                format!("the test \"{}\" expects nothing: end it with a THEN", test.name),
            ),
            None if tests.is_empty() => refuse(1, "the file holds no test: begin one with test \"what it shows\""),
            None => Ok(Script { tests }),
        }
    }
}

impl Test {
    /// The first time that it names, microseconds since 1970.
    pub fn begins_at_us(&self) -> Option<i64> {
        self.steps.iter().find_map(|step| match &step.kind {
            StepKind::At(at_us) => Some(*at_us),
            StepKind::Given { events, .. } => events.iter().find_map(|event| event.at_us),
            _ => None,
        })
    }

    /// Whether statements of it are run at once, so that what happens may depend on their order.
    pub fn is_concurrent(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.kind, StepKind::AtOnce(_)))
    }
}

impl StepKind {
    fn expects(&self) -> bool {
        match self {
            StepKind::At(_) | StepKind::Advance(_) | StepKind::Given { .. } => false,
            StepKind::When(_) | StepKind::AtOnce(_) => false,
            StepKind::Succeed(_) | StepKind::Refused { .. } | StepKind::Error { .. } => true,
            StepKind::Events { .. } | StepKind::Rows { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests;

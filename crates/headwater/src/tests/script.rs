//! The text of a test file, read into steps. `docs/tests.md` is its description.
//!
//! A keyword begins at the first column; what belongs to it is indented below it. `--` begins a comment line.

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
    /// `GIVEN stream`, then a JSON object a line: events that are in the stream.
    Given {
        /// The stream.
        stream: String,
        /// Line and text of each event.
        events: Vec<(usize, String)>,
    },
    /// `WHEN statement`: it is run.
    When {
        /// The statement.
        statement: String,
    },
    /// `THEN REFUSED 'text'`: a command's REQUIRE said no, with this ELSE text.
    Refused {
        /// The text.
        text: String,
    },
    /// `THEN ERROR 'text'`: the statement failed, and this is part of the error.
    Error {
        /// The part.
        text: String,
    },
    /// `THEN EVENTS stream`, then a JSON object a line: exactly these events the statement appended to the stream.
    Events {
        /// The stream.
        stream: String,
        /// Line and text of each event.
        events: Vec<(usize, String)>,
    },
    /// `THEN ROWS question`, then `| value | value |` a line: exactly these rows answer it.
    Rows {
        /// The question.
        question: String,
        /// Line and values of each row.
        rows: Vec<(usize, Vec<String>)>,
    },
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

/// A keyword's line and what is indented below it.
struct Block<'a> {
    line: usize,
    head: &'a str,
    body: Vec<(usize, &'a str)>,
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
                    steps: Vec::new(),
                });
                continue;
            }
            let step = step(&block)?;
            match tests.last_mut() {
                Some(test) => test.steps.push(step),
                None => {
                    return refuse(
                        block.line,
                        "a step stands before the first test: begin with test \"what it shows\"",
                    );
                }
            }
        }
        match tests
            .iter()
            .find(|test| !test.steps.iter().any(|step| step.kind.expects()))
        {
            Some(test) => refuse(
                1,
                format!("the test \"{}\" expects nothing: end it with a THEN", test.name),
            ),
            None if tests.is_empty() => refuse(1, "the file holds no test: begin one with test \"what it shows\""),
            None => Ok(Script { tests }),
        }
    }
}

impl StepKind {
    fn expects(&self) -> bool {
        !matches!(self, StepKind::Given { .. } | StepKind::When { .. })
    }
}

fn refuse<T>(line: usize, what: impl Into<String>) -> Result<T, ScriptError> {
    Err(ScriptError {
        line,
        what: what.into(),
    })
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, ScriptError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let content = line.trim();
        if content.is_empty() || content.starts_with("--") {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            blocks.push(Block {
                line: number,
                head: content,
                body: Vec::new(),
            });
            continue;
        }
        match blocks.last_mut() {
            Some(block) => block.body.push((number, content)),
            None => {
                return refuse(
                    number,
                    "the file begins with an indented line: begin with test \"what it shows\"",
                );
            }
        }
    }
    Ok(blocks)
}

/// What follows a keyword, where the text begins with it.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (ends && head.eq_ignore_ascii_case(word)).then_some(rest.trim())
}

fn step(block: &Block<'_>) -> Result<Step, ScriptError> {
    let Block { line, head, .. } = *block;
    let kind = if let Some(stream) = keyword(head, "GIVEN") {
        StepKind::Given {
            stream: name(stream, line)?,
            events: events(block)?,
        }
    } else if let Some(statement) = keyword(head, "WHEN") {
        StepKind::When {
            statement: joined(statement, &block.body),
        }
    } else if let Some(expected) = keyword(head, "THEN") {
        then(block, expected)?
    } else {
        return refuse(
            line,
            format!(
                "'{head}' begins with none of test, GIVEN, WHEN, THEN; what belongs to a step is indented below it"
            ),
        );
    };
    Ok(Step { line, kind })
}

fn then(block: &Block<'_>, expected: &str) -> Result<StepKind, ScriptError> {
    let line = block.line;
    if let Some(text) = keyword(expected, "REFUSED") {
        no_body(block)?;
        return Ok(StepKind::Refused {
            text: quoted(text, line, '\'')?,
        });
    }
    if let Some(text) = keyword(expected, "ERROR") {
        no_body(block)?;
        return Ok(StepKind::Error {
            text: quoted(text, line, '\'')?,
        });
    }
    if let Some(stream) = keyword(expected, "EVENTS") {
        return Ok(StepKind::Events {
            stream: name(stream, line)?,
            events: events(block)?,
        });
    }
    let Some(question) = keyword(expected, "ROWS") else {
        return refuse(
            line,
            "THEN is followed by REFUSED 'text', ERROR 'text', EVENTS stream or ROWS question",
        );
    };
    let first_row = block
        .body
        .iter()
        .position(|(_, text)| text.starts_with('|'))
        .unwrap_or(block.body.len());
    let (question_rest, table) = block.body.split_at(first_row);
    let question = joined(question, question_rest);
    if question.is_empty() {
        return refuse(
            line,
            "THEN ROWS is followed by a question, and its rows are indented below it",
        );
    }
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    for (number, text) in table {
        rows.push((*number, cells(text, *number)?));
    }
    Ok(StepKind::Rows { question, rows })
}

/// A statement over several lines.
fn joined(head: &str, body: &[(usize, &str)]) -> String {
    let mut lines: Vec<&str> = vec![head];
    lines.extend(body.iter().map(|(_, text)| *text));
    lines.join("\n").trim().trim_end_matches(';').to_owned()
}

fn name(text: &str, line: usize) -> Result<String, ScriptError> {
    match text.is_empty() || text.contains(char::is_whitespace) {
        true => refuse(
            line,
            "the name of one stream is expected here, and its events are indented below it, one JSON object a line",
        ),
        false => Ok(text.to_owned()),
    }
}

/// The text between quotes; a doubled quote stands for one.
fn quoted(text: &str, line: usize, quote: char) -> Result<String, ScriptError> {
    let inner = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let doubled = format!("{quote}{quote}");
    match inner {
        Some(inner) if !inner.is_empty() && !inner.replace(&doubled, "").contains(quote) => {
            Ok(inner.replace(&doubled, &quote.to_string()))
        }
        _ => refuse(line, format!("a text in {quote} is expected here")),
    }
}

fn no_body(block: &Block<'_>) -> Result<(), ScriptError> {
    match block.body.first() {
        Some((line, _)) => refuse(*line, "nothing is expected below this step"),
        None => Ok(()),
    }
}

fn events(block: &Block<'_>) -> Result<Vec<(usize, String)>, ScriptError> {
    let mut events: Vec<(usize, String)> = Vec::new();
    for (line, text) in &block.body {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Object(_)) => events.push((*line, (*text).to_owned())),
            Ok(_) => return refuse(*line, "an event is a JSON object, one a line"),
            Err(why) => return refuse(*line, format!("an event is a JSON object, one a line: {why}")),
        }
    }
    Ok(events)
}

/// The values of `| a | b |`; `\|` stands for a bar in a value.
fn cells(text: &str, line: usize) -> Result<Vec<String>, ScriptError> {
    let bare = text
        .strip_prefix('|')
        .and_then(|rest| rest.strip_suffix('|'))
        .filter(|rest| !rest.ends_with('\\'));
    let Some(bare) = bare else {
        return refuse(line, "a row is written | value | value |");
    };
    let mut cells: Vec<String> = vec![String::new()];
    let mut escaped = false;
    for character in bare.chars() {
        match (escaped, character) {
            (false, '\\') => escaped = true,
            (false, '|') => cells.push(String::new()),
            (false, character) => cells.last_mut().into_iter().for_each(|cell| cell.push(character)),
            (true, character) => {
                escaped = false;
                let cell = cells.last_mut().into_iter();
                cell.for_each(|cell| match character {
                    '|' | '\\' => cell.push(character),
                    other => cell.extend(['\\', other]),
                });
            }
        }
    }
    Ok(cells.into_iter().map(|cell| cell.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
-- what the bank promises
test "a withdrawal above the balance is refused"
GIVEN transactions
  {"account": "BradA", "amount": 100.00}
  -- and another
  {"account": "BradA", "amount": 1}
WHEN CALL withdraw('BradA',
  120.00);
THEN REFUSED 'it''s not enough'
THEN EVENTS transactions
then rows SELECT account, note
  FROM balances
  | BradA | a \| b \n |
  |  |
"#;

    #[test]
    fn a_file_is_read_whole() {
        let script = Script::parse(WHOLE).unwrap();
        let [test] = &script.tests[..] else {
            panic!("{script:?}")
        };
        assert_eq!(test.name, "a withdrawal above the balance is refused");
        let given = vec![
            (5, r#"{"account": "BradA", "amount": 100.00}"#.to_owned()),
            (7, r#"{"account": "BradA", "amount": 1}"#.to_owned()),
        ];
        let rows = vec![
            (14, vec!["BradA".to_owned(), r"a | b \n".to_owned()]),
            (15, vec![String::new()]),
        ];
        let question = "SELECT account, note\nFROM balances".to_owned();
        let expected = [
            (
                4,
                StepKind::Given {
                    stream: "transactions".to_owned(),
                    events: given,
                },
            ),
            (
                8,
                StepKind::When {
                    statement: "CALL withdraw('BradA',\n120.00)".to_owned(),
                },
            ),
            (
                10,
                StepKind::Refused {
                    text: "it's not enough".to_owned(),
                },
            ),
            (
                11,
                StepKind::Events {
                    stream: "transactions".to_owned(),
                    events: Vec::new(),
                },
            ),
            (12, StepKind::Rows { question, rows }),
        ];
        assert_eq!(test.steps, expected.map(|(line, kind)| Step { line, kind }));
    }

    #[test]
    fn what_is_no_test_is_said_with_its_line() {
        let check = |text: &str, line: usize, what: &str| {
            let error = Script::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.what.contains(what), "{text}: {error}");
        };
        check("", 1, "holds no test");
        check("GIVEN a\n", 1, "before the first test");
        check("  {}\n", 1, "begins with an indented line");
        check("test a\n", 1, "a text in \"");
        check("test \"a\"\nGIVEN s\n", 1, "expects nothing");
        check("test \"a\"\n  {}\n", 2, "nothing is expected below");
        check("test \"a\"\nAND b\n", 2, "none of test, GIVEN");
        check("test \"a\"\nGIVEN\n", 2, "the name of one stream");
        check("test \"a\"\nGIVEN s\n  [1]\n", 3, "a JSON object");
        check("test \"a\"\nGIVEN s\n  {\n", 3, "a JSON object");
        check("test \"a\"\nTHEN\n", 2, "THEN is followed by");
        check("test \"a\"\nTHEN REFUSED no\n", 2, "a text in '");
        check("test \"a\"\nTHEN REFUSED 'a'b'\n", 2, "a text in '");
        check("test \"a\"\nTHEN ROWS\n  | 1 |\n", 2, "followed by a question");
        check("test \"a\"\nTHEN ROWS SELECT 1\n  | 1\n", 3, "a row is written");
        check("test \"a\"\nTHEN ROWS SELECT 1\n  | 1 \\|\n", 3, "a row is written");
    }
}

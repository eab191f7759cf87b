//! Blocks into steps: what each keyword takes.

use super::blocks::{Block, Line, cells, counted, joined, keyword, keywords, leading_quoted, no_body, quoted, refuse};
use super::time::{duration, leading_moment, moment};
use super::{Action, Attempt, GivenEvent, Refusal, ScriptError, Step, StepKind};
use crate::limits::TEST_ATTEMPTS_MAX;

/// Reads a step, which follows others.
pub(super) fn step(block: &Block<'_>, before: &[Step]) -> Result<Step, ScriptError> {
    let Block { line, head, .. } = *block;
    let kind = if let Some(time) = keyword(head, "AT") {
        no_body(block)?;
        StepKind::At(moment(time, line)?)
    } else if let Some(time) = keyword(head, "ADVANCE") {
        no_body(block)?;
        StepKind::Advance(duration(time, line)?)
    } else if let Some(stream) = keyword(head, "GIVEN") {
        StepKind::Given {
            stream: name(stream, line)?,
            events: block.body.iter().map(given).collect::<Result<_, _>>()?,
        }
    } else if let Some(rest) = keywords(head, &["WHEN", "AT", "ONCE"]) {
        at_once(block, rest)?
    } else if let Some(rest) = keyword(head, "WHEN") {
        StepKind::When(action(rest, &block.body, line)?)
    } else if let Some(expected) = keyword(head, "THEN") {
        then(block, expected, before)?
    } else {
        let words = "none of test, AT, ADVANCE, GIVEN, WHEN, THEN";
        return refuse(
            line,
            format!("'{head}' begins with {words}; what belongs to a step is indented below it"),
        );
    };
    Ok(Step { line, kind })
}

/// `statement`, or `APPEND stream [IF …]` with its events below.
fn action(head: &str, body: &[Line<'_>], line: usize) -> Result<Action, ScriptError> {
    let Some(rest) = keyword(head, "APPEND") else {
        let statement = joined(head, body);
        return match statement.is_empty() {
            true => refuse(
                line,
                "WHEN is followed by a statement, CALL, INSERT or any other, or by APPEND",
            ),
            false => Ok(Action::Statement(statement)),
        };
    };
    let (stream, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_event = |line: &Line<'_>| line.text.starts_with('{');
    let first_event = body.iter().position(is_event).unwrap_or(body.len());
    let (condition, events) = body.split_at(first_event);
    let condition = joined(rest, condition);
    if !condition.is_empty() && keyword(&condition, "IF").is_none() {
        let what = "behind the stream of APPEND stands what the append depends on, as behind an INSERT: IF VERSION = '0@17', or nothing";
        return refuse(line, what);
    }
    if events.is_empty() {
        return refuse(
            line,
            "the events of APPEND are indented below it, one JSON object a line",
        );
    }
    Ok(Action::Append {
        stream: name(stream, line)?,
        condition,
        events: events.iter().map(event).collect::<Result<_, _>>()?,
    })
}

/// `WHEN AT ONCE`: a statement begins at the indentation of the first, and goes on where a line is indented further.
fn at_once(block: &Block<'_>, rest: &str) -> Result<StepKind, ScriptError> {
    let Some(first) = block.body.first().filter(|_| rest.is_empty()) else {
        return refuse(
            block.line,
            "WHEN AT ONCE is followed by nothing, and its statements are indented below it, each on a line of its own",
        );
    };
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut lines = block.body.as_slice();
    while let Some((head, rest)) = lines.split_first() {
        let more = rest.iter().take_while(|line| line.indent > first.indent).count();
        let (times, text) = times(head)?;
        if attempts.len() + times > TEST_ATTEMPTS_MAX {
            let what = format!("more than {TEST_ATTEMPTS_MAX} statements at once: fewer show the same");
            return refuse(head.number, what);
        }
        let attempt = Attempt {
            line: head.number,
            action: action(text, &rest[..more], head.number)?,
        };
        attempts.extend(std::iter::repeat_n(attempt, times));
        lines = &rest[more..];
    }
    Ok(StepKind::AtOnce(attempts))
}

/// `N TIMES statement`, or once.
fn times<'a>(line: &Line<'a>) -> Result<(usize, &'a str), ScriptError> {
    let counted = counted(line.text).and_then(|(times, rest)| Some((times, keyword(rest, "TIMES")?)));
    match counted {
        Some((0, _)) => refuse(line.number, "0 TIMES: leave the line out"),
        Some((_, "")) => refuse(line.number, "N TIMES is followed by a statement"),
        Some(counted) => Ok(counted),
        None => Ok((1, line.text)),
    }
}

fn then(block: &Block<'_>, expected: &str, before: &[Step]) -> Result<StepKind, ScriptError> {
    let line = block.line;
    let (count, expected) = counted(expected).map_or((None, expected), |(count, rest)| (Some(count), rest));
    let kind = if let Some(text) = keyword(expected, "REFUSED") {
        no_body(block)?;
        let refusal = refusal(text, line)?;
        StepKind::Refused { count, refusal }
    } else if let Some(text) = keyword(expected, "ERROR") {
        no_body(block)?;
        let text = quoted(text, line, '\'')?;
        StepKind::Error { count, text }
    } else if let (Some(count), Some("")) = (count, keyword(expected, "SUCCEED").or(keyword(expected, "SUCCEEDS"))) {
        no_body(block)?;
        StepKind::Succeed(count)
    } else if let (None, Some(stream)) = (count, keyword(expected, "EVENTS")) {
        StepKind::Events {
            stream: name(stream, line)?,
            events: block.body.iter().map(event).collect::<Result<_, _>>()?,
        }
    } else if let (None, Some(question)) = (count, keyword(expected, "ROWS")) {
        rows(block, question)?
    } else {
        return refuse(
            line,
            "THEN is followed by REFUSED 'text' CODE 'code', ERROR 'text', EVENTS stream or ROWS question; \
             after WHEN AT ONCE also by N SUCCEED, N REFUSED 'text' or N ERROR 'text'",
        );
    };
    check_count(&kind, line, before)?;
    Ok(kind)
}

/// `'text' CODE 'code'`, or one of both.
fn refusal(text: &str, line: usize) -> Result<Refusal, ScriptError> {
    let (text, rest) = match text.starts_with('\'') {
        true => {
            let (text, rest) = leading_quoted(text, line, '\'')?;
            (Some(text), rest)
        }
        false => (None, text),
    };
    let code = match (rest, keyword(rest, "CODE")) {
        ("", _) => None,
        (_, Some(code)) => Some(quoted(code, line, '\'')?),
        _ => return refuse(line, "a text in ' is expected here, CODE 'code', or both"),
    };
    match text.is_some() || code.is_some() {
        true => Ok(Refusal { text, code }),
        false => refuse(line, "a text in ' is expected here, CODE 'code', or both"),
    }
}

/// One outcome of a single statement, numbers of outcomes of those that were run at once.
fn check_count(kind: &StepKind, line: usize, before: &[Step]) -> Result<(), ScriptError> {
    let count = match kind {
        StepKind::Succeed(count) => Some(*count),
        StepKind::Refused { count, .. } | StepKind::Error { count, .. } => *count,
        _ => return Ok(()),
    };
    let when = before.iter().rev().find_map(|step| match &step.kind {
        StepKind::When(_) => Some(None),
        StepKind::AtOnce(attempts) => Some(Some(attempts.len())),
        _ => None,
    });
    match (when, count) {
        (None, _) => refuse(line, "there is no WHEN before: say what is done first"),
        (Some(None), Some(_)) => refuse(
            line,
            "a number belongs behind WHEN AT ONCE: one statement has one outcome",
        ),
        (Some(Some(_)), None) => refuse(
            line,
            "statements were run at once: say how many of them, as in THEN 3 REFUSED",
        ),
        (Some(Some(attempts)), Some(count)) if count > attempts => {
            refuse(line, format!("{count} are expected and {attempts} are run"))
        }
        _ => Ok(()),
    }
}

fn rows(block: &Block<'_>, question: &str) -> Result<StepKind, ScriptError> {
    let is_row = |line: &Line<'_>| line.text.starts_with('|');
    let first_row = block.body.iter().position(is_row).unwrap_or(block.body.len());
    let (question_rest, table) = block.body.split_at(first_row);
    let question = joined(question, question_rest);
    if question.is_empty() {
        return refuse(
            block.line,
            "THEN ROWS is followed by a question, and its rows are indented below it",
        );
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in table {
        let row = cells(line)?;
        if let Some(first) = rows.first().filter(|first| first.len() != row.len()) {
            let what = format!("a row of {} values stands below one of {}", row.len(), first.len());
            return refuse(line.number, what);
        }
        rows.push(row);
    }
    Ok(StepKind::Rows { question, rows })
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

/// `[AT time] {…}`
fn given(line: &Line<'_>) -> Result<GivenEvent, ScriptError> {
    let (at_us, text) = match keyword(line.text, "AT") {
        Some(rest) => {
            let (at_us, rest) = leading_moment(rest, line.number)?;
            (Some(at_us), rest)
        }
        None => (None, line.text),
    };
    Ok(GivenEvent {
        line: line.number,
        at_us,
        json: event(&Line { text, ..*line })?,
    })
}

fn event(line: &Line<'_>) -> Result<String, ScriptError> {
    match serde_json::from_str::<serde_json::Value>(line.text) {
        Ok(serde_json::Value::Object(_)) => Ok(line.text.to_owned()),
        Ok(_) => refuse(line.number, "an event is a JSON object, one a line"),
        Err(why) => refuse(line.number, format!("an event is a JSON object, one a line: {why}")),
    }
}

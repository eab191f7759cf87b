//! `headwater explain-command`: what a command would do and why, asked of a running program, printed so that the "no" is seen first.

use std::io::{self, IsTerminal, Write};

use anyhow::anyhow;

use crate::arguments::{self, Explained};
use crate::exit::{Exit, Failure};
use crate::sql;

/// Runs `headwater explain-command`.
pub fn run(options: &arguments::ExplainCommand) -> Result<(), Failure> {
    let statement = statement(options)?;
    let lines = sql::lines(&options.to, &statement)?;
    let mut out = io::stdout().lock();
    let colours = options.format == Explained::Text && out.is_terminal();
    for line in &lines {
        let line = if colours { coloured(line) } else { line.clone() };
        if let Err(why) = writeln!(out, "{line}") {
            // Whoever reads has enough: `headwater explain-command … | head`.
            return match why.kind() {
                io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(Failure::new(
                    Exit::Failed,
                    format!("the answer cannot be written: {why}"),
                )),
            };
        }
    }
    match would_be_done(&lines) {
        true => Ok(()),
        false => Err(Failure {
            exit: Exit::Failed,
            why: anyhow!("the command would append nothing"),
        }),
    }
}

/// `EXPLAIN CALL "command"("parameter" => 'value', …)`: the program reads the texts as the parameters' types.
fn statement(options: &arguments::ExplainCommand) -> Result<String, Failure> {
    let mut arguments: Vec<String> = Vec::new();
    for argument in &options.arguments {
        let (name, value) = argument.split_once('=').ok_or_else(|| {
            let what = format!("'{argument}' is no argument: write it as parameter=value");
            Failure::new(Exit::Usage, what)
        })?;
        let value = match value {
            "NULL" => value.to_owned(),
            text => format!("'{}'", text.replace('\'', "''")),
        };
        arguments.push(format!("{} => {value}", quoted(name)));
    }
    let format = match options.format {
        Explained::Text => "",
        Explained::Json => " (FORMAT JSON)",
    };
    Ok(format!(
        "EXPLAIN{format} CALL {}({})",
        quoted(&options.command),
        arguments.join(", ")
    ))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the last part of the explanation says.
fn would_be_done(lines: &[String]) -> bool {
    lines
        .iter()
        .any(|line| line.starts_with("would append") || line.contains("\"outcome\":\"append\""))
}

/// A line with what decides in colour.
fn coloured(line: &str) -> String {
    let is_step = line.starts_with("  REQUIRE");
    let no = is_step && (line.ends_with(" NO") || line.ends_with(" NO: it is NULL"));
    let yes = is_step && line.ends_with(" yes");
    let colour = if no || line.starts_with("refused") || line.starts_with("failed") {
        "31"
    } else if yes || line.starts_with("would append") {
        "32"
    } else if line.starts_with("  read") || line.ends_with("not asked any more") {
        "2"
    } else {
        return line.to_owned();
    };
    format!("\u{1b}[{colour}m{line}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], format: Explained, expected: Result<&str, &str>) {
        let options = arguments::ExplainCommand {
            command: "withdraw".to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            to: String::new(),
            format,
        };
        match (statement(&options), expected) {
            (Ok(statement), Ok(expected)) => assert_eq!(statement, expected),
            (Err(failure), Err(why)) => assert!(failure.to_string().contains(why), "{failure}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn arguments_become_a_call_by_name() {
        check(&[], Explained::Text, Ok("EXPLAIN CALL \"withdraw\"()"));
        check(
            &["account=O'Neil", "amount=5", "teller=NULL", "note=a=b"],
            Explained::Json,
            Ok(
                "EXPLAIN (FORMAT JSON) CALL \"withdraw\"(\"account\" => 'O''Neil', \"amount\" => '5', \"teller\" => NULL, \"note\" => 'a=b')",
            ),
        );
        check(&["account"], Explained::Text, Err("write it as parameter=value"));
    }

    #[test]
    fn what_says_no_is_red() {
        for (line, colour) in [
            ("  REQUIRE  amount > 0    yes", Some("32")),
            ("  REQUIRE  amount > 0    NO", Some("31")),
            ("  REQUIRE  amount > 0    NO: it is NULL", Some("31")),
            ("refused (no): it is yes", Some("31")),
            ("would append 1 event(s)", Some("32")),
            ("  LET      balance = 5", None),
        ] {
            let shown = coloured(line);
            assert_eq!(shown.contains("\u{1b}["), colour.is_some(), "{line}");
            assert!(
                colour.is_none_or(|colour| shown.starts_with(&format!("\u{1b}[{colour}m"))),
                "{line}"
            );
        }
    }
}

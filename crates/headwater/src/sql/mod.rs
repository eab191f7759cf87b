//! `headwater sql`: statements to a running program, through its PostgreSQL door, and the answers printed.

mod door;
mod notices;
mod print;
mod reading;
mod watch;

use std::io::{self, Read};
use std::path::Path;
use std::pin::pin;

use anyhow::anyhow;
use futures::{FutureExt, TryStreamExt};
use headwater_sql::syntax::Statement;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::arguments::{self, Format};
use crate::exit::{Exit, Failure};
use crate::text_file;
use door::connected;
use notices::Notices;
use print::{Kind, Printer, shown};

/// Runs `headwater sql`.
pub fn run(options: &arguments::Sql) -> Result<(), Failure> {
    let statements = statements(options)?;
    if options.format == Format::Table && subscribes(&statements) {
        let why =
            "a subscription has no end, and a table is shown when its last row came: add --format csv or --format json";
        return Err(Failure::new(Exit::Usage, why));
    }
    connected(&options.to, async |client, notices| {
        if notices.reading.is_shown() {
            // A program that does not know the setting says nothing of how far it is.
            let _ = client.simple_query(reading::WANTED).await;
        }
        ask(client, notices, &statements, options.format).await?;
        watch::builds(client, &statements).await
    })
}

/// The first column of a statement's rows, as texts.
pub fn lines(to: &str, statement: &str) -> Result<Vec<String>, Failure> {
    connected(to, async |client, _| {
        let messages = client.simple_query(statement).await;
        let messages = messages.map_err(|why| Failure {
            exit: Exit::Failed,
            why: anyhow!(explained(&why, statement)),
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    })
}

fn statements(options: &arguments::Sql) -> Result<String, Failure> {
    let Some(file) = &options.file else {
        return Ok(options.statements.clone().unwrap_or_default());
    };
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|why| Failure::new(Exit::Usage, format!("standard input cannot be read: {why}")))?;
        return Ok(text_file::without_mark(text));
    }
    text_file::read(file).map_err(|why| Failure::new(Exit::Usage, format!("{} cannot be read: {why}", file.display())))
}

/// Whether one of the statements is a subscription. What is wrong with them, whoever runs them says.
fn subscribes(statements: &str) -> bool {
    let parsed = headwater_sql::parse::parse(statements, "").unwrap_or_default();
    parsed
        .iter()
        .any(|one| matches!(one.statement, Statement::Subscribe(_)))
}

async fn ask(client: &Client, notices: &Notices, statements: &str, format: Format) -> Result<(), Failure> {
    // The types of JSON's values are told of one statement at a time.
    let texts = match format {
        Format::Json => one_by_one(statements),
        Format::Table | Format::Csv => vec![statements.to_owned()],
    };
    for text in texts {
        ask_at_once(client, notices, &text, format).await?;
    }
    Ok(())
}

/// Each of some statements in a text of its own, where it stands in the text of all; that text as it is where it cannot be taken apart.
fn one_by_one(statements: &str) -> Vec<String> {
    let Ok(parsed) = headwater_sql::parse::parse(statements, "") else {
        return vec![statements.to_owned()];
    };
    let alone = parsed.iter().map(|one| {
        let (line, column) = (one.place.line as usize, one.place.column as usize);
        let lines = "\n".repeat(line.saturating_sub(1));
        format!("{lines}{:width$}{}", "", one.text, width = column.saturating_sub(1))
    });
    alone.collect()
}

async fn ask_at_once(client: &Client, notices: &Notices, statements: &str, format: Format) -> Result<(), Failure> {
    let kinds = match format {
        Format::Json => kinds(client, statements).await,
        Format::Table | Format::Csv => Vec::new(),
    };
    let mut printer = Printer::new(format, kinds, io::BufWriter::new(io::stdout()));
    let answer = print(client, notices, statements, &mut printer).await;
    notices.reading.clear();
    // What came before an error is shown before it, and so is what was said.
    let printed = printer.flush();
    for notice in notices.take() {
        eprintln!("note: {}", shown(Some(&notice)));
    }
    match answer.and(printed.map_err(Ask::Write)) {
        Ok(()) => Ok(()),
        // Whoever reads has enough: `headwater sql … | head`.
        Err(Ask::Write(why)) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Ask::Write(why)) => Err(Failure {
            exit: Exit::Failed,
            why: anyhow!("the answer cannot be written: {why}"),
        }),
        Err(Ask::Statement(why)) => Err(Failure {
            exit: Exit::Failed,
            why: anyhow!(explained(&why, statements)),
        }),
    }
}

/// What a statement's answer failed of.
enum Ask {
    Statement(tokio_postgres::Error),
    Write(io::Error),
}

async fn print(
    client: &Client,
    notices: &Notices,
    statements: &str,
    printer: &mut Printer<impl io::Write>,
) -> Result<(), Ask> {
    let mut messages = pin!(client.simple_query_raw(statements).await.map_err(Ask::Statement)?);
    // The statement that is done and that nothing came behind yet, and how many are done.
    let mut done: Option<u64> = None;
    let mut statements_done = 0;
    loop {
        // What there is shows before the next is waited for: a subscription has no end.
        let message = match messages.try_next().now_or_never() {
            Some(message) => message,
            None => {
                printer.flush().map_err(Ask::Write)?;
                messages.try_next().await
            }
        }
        .map_err(Ask::Statement);
        if let Some(count) = done.take() {
            // Notices overtake the answers of the statements before theirs: only of one that is alone it is known that all of them are its own.
            let is_alone = statements_done == 1 && matches!(message, Ok(None));
            let answer = match is_alone && printer.has_nothing_to_show(count) {
                true => notices.take(),
                false => Vec::new(),
            };
            printer.complete(count, &answer).map_err(Ask::Write)?;
        }
        let Some(message) = message? else { return Ok(()) };
        notices.reading.clear();
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                printer.columns(columns.iter().map(|column| column.name().to_owned()).collect())
            }
            SimpleQueryMessage::Row(row) => printer.row(
                (0..row.len())
                    .map(|column| row.get(column).map(str::to_owned))
                    .collect(),
            ),
            SimpleQueryMessage::CommandComplete(count) => {
                done = Some(count);
                statements_done += 1;
                Ok(())
            }
            _ => Ok(()),
        }
        .map_err(Ask::Write)?;
    }
}

/// How the columns of the one statement's answer are written as JSON; empty where nothing says: then as texts.
async fn kinds(client: &Client, statements: &str) -> Vec<Kind> {
    match client.prepare(statements).await {
        Ok(prepared) => prepared
            .columns()
            .iter()
            .map(|column| Kind::of(column.type_().name()))
            .collect(),
        // What is wrong with the statement is said when it runs.
        Err(_) => Vec::new(),
    }
}

/// What the program said of a statement, with the place in the text that was sent.
fn explained(error: &tokio_postgres::Error, statements: &str) -> String {
    let Some(error) = error.as_db_error() else {
        return format!("the connection failed: {error}");
    };
    let mut text = String::new();
    if let Some(ErrorPosition::Original(position)) = error.position() {
        let (line, column) = place(statements, *position as usize);
        text.push_str(&format!("line {line}, column {column}: "));
    }
    text.push_str(&format!("{} (SQLSTATE {})", error.message(), error.code().code()));
    if let Some(detail) = error.detail() {
        text.push_str(&format!("\n  detail: {detail}"));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n  hint: {hint}"));
    }
    text
}

/// Line and column of a character of a text; all of them from 1, as PostgreSQL counts.
fn place(text: &str, character: usize) -> (usize, usize) {
    let before = text.chars().take(character.saturating_sub(1));
    before.fold((1, 1), |(line, column), character| match character {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::{one_by_one, place};

    #[test]
    fn a_position_is_a_line_and_a_column() {
        for (text, character, expected) in [
            ("SELECT 1", 1, (1, 1)),
            ("SELECT 1", 8, (1, 8)),
            ("é\nbc", 3, (2, 1)),
            ("a\n\nb", 4, (3, 1)),
            ("a", 0, (1, 1)),
            ("a", 9, (1, 2)),
        ] {
            assert_eq!(place(text, character), expected, "{text} {character}");
        }
    }

    #[test]
    fn statements_stand_alone_where_they_stood() {
        for (text, expected) in [
            ("SELECT 1", vec!["SELECT 1"]),
            (
                "SELECT 1; SELECT\n 2;\n  SELECT 3;",
                vec!["SELECT 1", "          SELECT\n 2", "\n\n  SELECT 3"],
            ),
            ("", vec![]),
            ("SELECT '", vec!["SELECT '"]),
        ] {
            assert_eq!(one_by_one(text), expected, "{text:?}");
        }
    }
}

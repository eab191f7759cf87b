//! `COPY stream [(columns)] { FROM STDIN | TO STDOUT } [WITH] [(options)]`, `COPY (query) TO STDOUT …`, with PostgreSQL's options in brackets or as older
//! clients write them: `COPY t FROM STDIN WITH CSV HEADER`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::question;
use super::source::Source;
use super::tokens::place;
use crate::syntax::{Copy, CopyForm, CopyInto, CopyLines, Name, Parsed, Statement};
use crate::{SqlError, SqlState};

/// Reads the whole statement.
pub(super) fn copy(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("COPY")?;
    if cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        let query = Box::new(in_brackets(cursor, source)?);
        cursor.expect_word("TO")?;
        end(cursor, "STDOUT", "FROM")?;
        let form = form(cursor)?;
        return Ok(Statement::Copy(Box::new(Copy::Out { query, form })));
    }
    source.refuse_rewinds("COPY (SELECT … FROM … FOR SYSTEM_TIME AS OF …) TO STDOUT gives what was")?;
    let begins = place(source.file, cursor.location());
    let stream = cursor.object_name("the name of a stream, or a query in brackets")?;
    let columns = match cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        true => cursor.names("the name of a column")?,
        false => Vec::new(),
    };
    if cursor.take_word("TO") {
        end(cursor, "STDOUT", "FROM")?;
        let form = form(cursor)?;
        let text = of_columns(&stream, &columns);
        let mut asked = super::parse(&text, source.file)?;
        let query = asked.pop().ok_or_else(|| cursor.expected("a query"))?;
        let query = Box::new(Parsed { place: begins, ..query });
        return Ok(Statement::Copy(Box::new(Copy::Out { query, form })));
    }
    cursor.expect_word("FROM")?;
    end(cursor, "STDIN", "TO")?;
    let form = form(cursor)?;
    let into = CopyInto { stream, columns };
    Ok(Statement::Copy(Box::new(Copy::In { into, form })))
}

/// `(query)`
fn in_brackets(cursor: &mut Cursor, source: &Source) -> Result<Parsed, SqlError> {
    cursor.expect(&Token::LParen)?;
    let begins = place(source.file, cursor.location());
    let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(&Token::RParen)));
    let mut part = cursor.part(length);
    let is_query = ["SELECT", "WITH", "VALUES", "TABLE"]
        .iter()
        .any(|word| part.is_word(word));
    if !is_query {
        return Err(part
            .error(SqlState::NOT_SUPPORTED, "COPY copies what a query gives")
            .hint("write SELECT, WITH, VALUES or TABLE behind the bracket"));
    }
    let text = source.text_of(part.rest());
    let question = question::whole(&mut part, source.rewinds.to_vec())?;
    cursor.expect(&Token::RParen)?;
    Ok(Parsed {
        statement: Statement::Query(question),
        text,
        place: begins,
    })
}

/// STDIN or STDOUT: the program opens no files for its clients.
fn end(cursor: &mut Cursor, wanted: &str, other: &str) -> Result<(), SqlError> {
    if cursor.take_word(wanted) {
        return Ok(());
    }
    if cursor.is_word("PROGRAM")
        || matches!(cursor.peek(), Some(piece) if matches!(piece.token.token, Token::SingleQuotedString(_)))
    {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "COPY opens no files and starts no programs")
            .hint(format!(
                "write {wanted}, as psql's \\copy does, and let the client open the file"
            )));
    }
    Err(cursor.expected(wanted).hint(format!("{other} goes the other way")))
}

fn of_columns(stream: &Name, columns: &[Name]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.value)).collect();
    let names = match names.is_empty() {
        true => "*".to_owned(),
        false => names.join(", "),
    };
    format!("SELECT {names} FROM {}", quoted(&stream.value))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Format {
    #[default]
    Text,
    Csv,
    Binary,
}

/// What the options say, as far as they were read.
#[derive(Default)]
struct Said {
    format: Format,
    delimiter: Option<u8>,
    null: Option<String>,
    has_header: bool,
    quote: Option<u8>,
    escape: Option<u8>,
}

/// The options, to the end of the statement.
fn form(cursor: &mut Cursor) -> Result<CopyForm, SqlError> {
    let mut said = Said::default();
    cursor.take_word("WITH");
    match cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        true => {
            cursor.bracketed(|cursor| option(cursor, &mut said))?;
        }
        false => {
            while !cursor.is_at_end() && !cursor.is_word("WHERE") {
                option(cursor, &mut said)?;
            }
        }
    }
    if cursor.is_word("WHERE") {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "COPY … WHERE is not there")
            .hint("leave out what is not to be appended before it is sent"));
    }
    cursor.expect_end()?;
    let is_of_csv = [said.quote, said.escape].iter().any(Option::is_some);
    if said.format == Format::Binary {
        let is_of_lines = is_of_csv || said.delimiter.is_some() || said.null.is_some() || said.has_header;
        return match is_of_lines {
            false => Ok(CopyForm::Binary),
            true => Err(cursor
                .error(
                    SqlState::SYNTAX,
                    "DELIMITER, NULL, HEADER, QUOTE and ESCAPE are not of the binary format",
                )
                .hint("leave them out")),
        };
    }
    let is_csv = said.format == Format::Csv;
    if is_of_csv && !is_csv {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "QUOTE and ESCAPE are of CSV")
            .hint("write FORMAT csv"));
    }
    let quote = said.quote.unwrap_or(b'"');
    let (delimiter, null) = match is_csv {
        true => (b',', ""),
        false => (b'\t', "\\N"),
    };
    let form = CopyLines {
        is_csv,
        delimiter: said.delimiter.unwrap_or(delimiter),
        null: said.null.unwrap_or_else(|| null.to_owned()),
        has_header: said.has_header,
        quote,
        escape: said.escape.unwrap_or(quote),
    };
    // Of the text format a backslash says what the next character is, and \. is the end.
    let is_clear = match form.is_csv {
        true => form.delimiter != form.quote,
        false => !form.delimiter.is_ascii_alphanumeric() && !matches!(form.delimiter, b'\\' | b'.'),
    };
    let is_one_line = !form.null.contains(['\r', '\n']) && !form.null.as_bytes().contains(&form.delimiter);
    match is_clear && is_one_line {
        true => Ok(CopyForm::Lines(form)),
        false => Err(SqlError::new(
            SqlState::INVALID_PARAMETER,
            "DELIMITER, QUOTE and NULL of a COPY hide each other",
        )
        .hint("take another character for one of them")),
    }
}

/// One option, in either way of writing.
fn option(cursor: &mut Cursor, said: &mut Said) -> Result<(), SqlError> {
    if cursor.take_word("FORMAT") {
        said.format = format(cursor)?;
    } else if cursor.take_word("CSV") {
        said.format = Format::Csv;
    } else if cursor.take_word("BINARY") {
        said.format = Format::Binary;
    } else if cursor.take_word("DELIMITER") || cursor.take_word("DELIMITERS") {
        said.delimiter = Some(character(cursor, "the delimiter")?);
    } else if cursor.take_word("NULL") {
        cursor.take_word("AS");
        said.null = Some(cursor.text("the text that stands for NULL")?);
    } else if cursor.take_word("HEADER") {
        said.has_header = !(cursor.take_word("FALSE") || cursor.take_word("OFF"));
        for word in ["TRUE", "ON", "MATCH"] {
            cursor.take_word(word);
        }
    } else if cursor.take_word("QUOTE") {
        said.quote = Some(character(cursor, "the quote")?);
    } else if cursor.take_word("ESCAPE") {
        said.escape = Some(character(cursor, "the escape")?);
    } else if cursor.take_word("ENCODING") {
        let name = cursor.text("the name of an encoding")?;
        if !["utf8", "utf-8", "unicode"].contains(&name.to_lowercase().as_str()) {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, format!("texts are UTF-8, not {name}"))
                .hint("let the client convert them"));
        }
    } else if cursor.take_word("FREEZE") {
        // Nothing is to be frozen.
    } else {
        return Err(cursor.expected("an option of COPY").hint(
            "there are FORMAT text, csv and binary, DELIMITER, NULL, HEADER, QUOTE, ESCAPE and ENCODING 'utf8'",
        ));
    }
    Ok(())
}

/// The name of a format, as a word or a text.
fn format(cursor: &mut Cursor) -> Result<Format, SqlError> {
    let formats = [("text", Format::Text), ("csv", Format::Csv), ("binary", Format::Binary)];
    for (name, format) in formats {
        let is_text = matches!(
            cursor.peek().map(|piece| &piece.token.token),
            Some(Token::SingleQuotedString(written)) if written.eq_ignore_ascii_case(name)
        );
        if cursor.take_word(name) || is_text && cursor.next().is_some() {
            return Ok(format);
        }
    }
    Err(cursor.expected("text, csv or binary"))
}

/// One character of one byte.
fn character(cursor: &mut Cursor, what: &str) -> Result<u8, SqlError> {
    cursor.take_word("AS");
    let text = cursor.text(what)?;
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\r' | b'\n') => Ok(*byte),
        _ => Err(cursor
            .error(
                SqlState::INVALID_PARAMETER,
                format!("{what} of a COPY is one character of ASCII"),
            )
            .hint("a tab is written E'\\t'")),
    }
}

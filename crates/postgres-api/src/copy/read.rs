//! What a client sends for COPY … FROM STDIN line by line, as columns of texts.
//!
//! Invariant: all of it is read, or it is an error that names the line.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use headwater_sql::syntax::CopyLines;

/// Why rows cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotRead {
    /// The SQLSTATE.
    pub(crate) state: &'static str,
    /// What is wrong, and in which line.
    pub(crate) why: String,
}

/// bad_copy_file_format
const BAD_FORMAT: &str = "22P04";
/// character_not_in_repertoire
const NO_CHARACTER: &str = "22021";
/// The line that ends the data for older clients.
const END: &str = "\\.";

/// The rows of a text, as a column of texts for each name.
pub(crate) fn read(bytes: &[u8], form: &CopyLines, names: &[&str]) -> Result<Vec<ArrayRef>, NotRead> {
    let text = std::str::from_utf8(bytes).map_err(|error| NotRead {
        state: NO_CHARACTER,
        why: format!("byte {} of the data begins no character of UTF-8", error.valid_up_to()),
    })?;
    let mut columns: Vec<StringBuilder> = names.iter().map(|_| StringBuilder::new()).collect();
    let mut rest = text;
    let mut line = 1;
    if form.has_header {
        rest = match form.is_csv {
            true => record(rest, form, line)?.1,
            false => first_line(rest).1,
        };
        line += lines(text, rest);
    }
    while !rest.is_empty() {
        if first_line(rest).0 == END {
            break;
        }
        let (values, behind) = match form.is_csv {
            true => record(rest, form, line)?,
            false => {
                let (written, behind) = first_line(rest);
                (fields(written, form), behind)
            }
        };
        take(values, &mut columns, names, line)?;
        line += lines(rest, behind);
        rest = behind;
    }
    Ok(columns
        .into_iter()
        .map(|mut column| Arc::new(column.finish()) as ArrayRef)
        .collect())
}

/// How many lines end in the part of a text before its rest.
fn lines(text: &str, rest: &str) -> usize {
    let taken = &text[..text.len() - rest.len()];
    taken.matches('\n').count().max(1)
}

fn take(
    values: Vec<Option<String>>,
    columns: &mut [StringBuilder],
    names: &[&str],
    line: usize,
) -> Result<(), NotRead> {
    let bad = |why: String| NotRead { state: BAD_FORMAT, why };
    if let Some(missing) = names.get(values.len()) {
        return Err(bad(format!("line {line}: missing data for column \"{missing}\"")));
    }
    if values.len() > names.len() {
        return Err(bad(format!("line {line}: extra data after last expected column")));
    }
    for (column, value) in columns.iter_mut().zip(values) {
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(NotRead {
                state: NO_CHARACTER,
                why: format!("line {line}: a text holds U+0000"),
            });
        }
        column.append_option(value);
    }
    Ok(())
}

/// A line without its end, and what is behind it.
fn first_line(text: &str) -> (&str, &str) {
    match text.split_once('\n') {
        Some((line, behind)) => (line.strip_suffix('\r').unwrap_or(line), behind),
        None => (text.strip_suffix('\r').unwrap_or(text), ""),
    }
}

/// The values of a line of the text format.
fn fields(line: &str, form: &CopyLines) -> Vec<Option<String>> {
    let delimiter = char::from(form.delimiter);
    let mut values: Vec<Option<String>> = Vec::new();
    let mut begins = 0;
    let mut is_escaped = false;
    let mut end = |begins: usize, ends: usize| {
        let written = &line[begins..ends];
        values.push((written != form.null).then(|| unescaped(written)));
    };
    for (at, c) in line.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == delimiter {
            end(begins, at);
            begins = at + c.len_utf8();
        }
    }
    end(begins, line.len());
    values
}

/// A value of the text format without its backslashes.
fn unescaped(written: &str) -> String {
    if !written.contains('\\') {
        return written.to_owned();
    }
    // Octal and hexadecimal digits name bytes, which may be parts of a character.
    let mut bytes: Vec<u8> = Vec::with_capacity(written.len());
    let mut rest = written.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'b') => bytes.push(8),
            Some(b'f') => bytes.push(12),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'v') => bytes.push(11),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) {
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                bytes.push((value & 255) as u8);
            }
            Some(b'x') => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                match rest.peek().and_then(digit) {
                    Some(first) => {
                        rest.next();
                        let second = rest.peek().and_then(digit);
                        if second.is_some() {
                            rest.next();
                        }
                        bytes.push(second.map_or(first, |second| first * 16 + second) as u8);
                    }
                    None => bytes.push(b'x'),
                }
            }
            Some(other) => bytes.push(other),
            None => bytes.push(b'\\'),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The values of the first record of CSV, and what is behind it. A quoted value may hold ends of lines.
fn record<'a>(text: &'a str, form: &CopyLines, line: usize) -> Result<(Vec<Option<String>>, &'a str), NotRead> {
    let (delimiter, quote, escape) = (form.delimiter, form.quote, form.escape);
    let bytes = text.as_bytes();
    let mut values: Vec<Option<String>> = Vec::new();
    let mut value: Vec<u8> = Vec::new();
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut at = 0;
    let mut end = |value: &mut Vec<u8>, was_quoted: &mut bool| {
        let text = String::from_utf8_lossy(value).into_owned();
        values.push((*was_quoted || text != form.null).then_some(text));
        value.clear();
        *was_quoted = false;
    };
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        let next = bytes.get(at).copied();
        match byte {
            _ if is_quoted && byte == escape && next.is_some_and(|next| next == quote || next == escape) => {
                value.extend(next);
                at += 1;
            }
            _ if is_quoted && byte == quote => is_quoted = false,
            _ if is_quoted => value.push(byte),
            _ if byte == quote => (is_quoted, was_quoted) = (true, true),
            _ if byte == delimiter => end(&mut value, &mut was_quoted),
            b'\r' if next == Some(b'\n') => {}
            b'\n' => {
                end(&mut value, &mut was_quoted);
                return Ok((values, &text[at..]));
            }
            _ => value.push(byte),
        }
    }
    if is_quoted {
        return Err(NotRead {
            state: BAD_FORMAT,
            why: format!("line {line}: a quoted value does not end"),
        });
    }
    end(&mut value, &mut was_quoted);
    Ok((values, ""))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    fn text() -> CopyLines {
        CopyLines {
            is_csv: false,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            has_header: false,
            quote: b'"',
            escape: b'"',
        }
    }

    fn csv() -> CopyLines {
        CopyLines {
            is_csv: true,
            delimiter: b',',
            null: String::new(),
            ..text()
        }
    }

    /// Rows as lines of values with `|` between them, or the error.
    fn check(form: &CopyLines, sent: &str, expected: &str) {
        let names = ["a", "b"];
        let came = match read(sent.as_bytes(), form, &names) {
            Err(NotRead { state, why }) => format!("{state}: {why}"),
            Ok(columns) => {
                let rows = (0..columns[0].len()).map(|row| {
                    let values = columns.iter().map(|column| match column.is_null(row) {
                        true => "NULL".to_owned(),
                        false => column.as_string::<i32>().value(row).to_owned(),
                    });
                    values.collect::<Vec<String>>().join("|")
                });
                rows.collect::<Vec<String>>().join("\n")
            }
        };
        assert_eq!(came, expected, "{sent:?}");
    }

    #[test]
    fn the_text_format_is_read_as_postgres_writes_it() {
        check(&text(), "", "");
        check(&text(), "1\tx\n2\t\\N\n", "1|x\n2|NULL");
        check(&text(), "1\tx\r\n2\ty", "1|x\n2|y");
        check(&text(), "a\\tb\tc\\\\d\\ne\n", "a\tb|c\\d\ne");
        check(&text(), "\\x41\\101\\q\t\\\t\n", "AAq|\t");
        check(&text(), "\\xc3\\xa9\té\n", "é|é");
        check(&text(), "1\t\n\\.\nnot read", "1|");
        check(
            &CopyLines {
                has_header: true,
                ..text()
            },
            "a\tb\n1\t2\n",
            "1|2",
        );
        check(
            &CopyLines {
                delimiter: b'|',
                null: "?".to_owned(),
                ..text()
            },
            "1|?\n",
            "1|NULL",
        );
        check(&text(), "1\tx\n2\n", "22P04: line 2: missing data for column \"b\"");
        check(
            &text(),
            "1\tx\ty\n",
            "22P04: line 1: extra data after last expected column",
        );
        check(&text(), "1\t\\000\n", "22021: line 1: a text holds U+0000");
    }

    #[test]
    fn csv_is_read_as_postgres_writes_it() {
        check(&csv(), "1,x\n2,\n", "1|x\n2|NULL");
        check(&csv(), "1,\"\"\r\n\"a,b\",\"c\"\"d\"\r\n", "1|\na,b|c\"d");
        check(&csv(), "1,\"two\nlines\"\n2,y", "1|two\nlines\n2|y");
        check(
            &CopyLines {
                has_header: true,
                ..csv()
            },
            "a,\"b\nb\"\n1,2\n",
            "1|2",
        );
        check(&CopyLines { escape: b'\\', ..csv() }, "1,\"a\\\"b\"\n", "1|a\"b");
        check(
            &CopyLines {
                quote: b'\'',
                escape: b'\'',
                delimiter: b';',
                ..csv()
            },
            "1;'a;b'\n",
            "1|a;b",
        );
        check(&csv(), "1,x\n\\.\n", "1|x");
        check(
            &csv(),
            "1,\"two\nlines\"\n2\n",
            "22P04: line 3: missing data for column \"b\"",
        );
        check(&csv(), "1,\"x\n", "22P04: line 1: a quoted value does not end");
    }

    #[test]
    fn what_is_no_text_is_told_by_its_place() {
        let names = ["a"];
        let error = read(b"ab\xff", &text(), &names).unwrap_err();
        assert_eq!(
            (error.state, error.why.as_str()),
            (NO_CHARACTER, "byte 2 of the data begins no character of UTF-8")
        );
    }
}

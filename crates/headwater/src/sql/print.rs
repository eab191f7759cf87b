//! Answers as a table, as CSV or as JSON lines.
//!
//! A table is held until its last row came, because every row has a say in the widths; the other two are written as rows come.

use std::io::{self, Write};

use headwater_sql::encode::array_text::from_text as array_elements;
use unicode_width::UnicodeWidthStr;

use crate::arguments::Format;

/// How a value is written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kind {
    /// As it is: numbers, `true`, `false`, JSON. Else as a text.
    is_bare: bool,
    /// As a list of such.
    is_array: bool,
}

impl Kind {
    /// By the name of a PostgreSQL type: those of arrays begin with an underscore.
    pub fn of(type_name: &str) -> Kind {
        let element = type_name.strip_prefix('_');
        Kind {
            is_bare: matches!(
                element.unwrap_or(type_name),
                "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "bool" | "json" | "jsonb"
            ),
            is_array: element.is_some(),
        }
    }

    fn json(self, value: Option<&str>) -> String {
        match value.filter(|_| self.is_array).map(array_elements) {
            Some(Ok(elements)) => {
                let elements = elements.iter().map(|element| self.one(element.as_deref()));
                format!("[{}]", elements.collect::<Vec<String>>().join(","))
            }
            _ => self.one(value),
        }
    }

    fn one(self, value: Option<&str>) -> String {
        match value {
            None => "null".to_owned(),
            Some("t") if self.is_bare => "true".to_owned(),
            Some("f") if self.is_bare => "false".to_owned(),
            // NaN and infinity are no JSON numbers.
            Some(value) if self.is_bare && serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok() => {
                value.to_owned()
            }
            Some(value) => text(value),
        }
    }
}

/// One row: texts, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// Prints answers, one after another.
pub struct Printer<W: Write> {
    format: Format,
    kinds: Vec<Kind>,
    out: W,
    columns: Option<Vec<String>>,
    rows: Vec<Row>,
}

impl<W: Write> Printer<W> {
    /// Prints into `out`.
    pub fn new(format: Format, kinds: Vec<Kind>, out: W) -> Printer<W> {
        Printer {
            format,
            kinds,
            out,
            columns: None,
            rows: Vec::new(),
        }
    }

    /// An answer with these columns begins.
    pub fn columns(&mut self, names: Vec<String>) -> io::Result<()> {
        if self.format == Format::Csv {
            let head: Row = names.iter().cloned().map(Some).collect();
            writeln!(self.out, "{}", csv(&head))?;
        }
        self.columns = Some(names);
        Ok(())
    }

    /// The next row of the answer.
    pub fn row(&mut self, row: Row) -> io::Result<()> {
        match self.format {
            Format::Table => {
                self.rows.push(row);
                Ok(())
            }
            Format::Csv => writeln!(self.out, "{}", csv(&row)),
            Format::Json => {
                let line = json(self.columns.as_deref().unwrap_or_default(), &self.kinds, &row);
                writeln!(self.out, "{line}")
            }
        }
    }

    /// Whether a statement that is done has nothing else to show, so that what was said of it is its answer.
    pub fn has_nothing_to_show(&self, count: u64) -> bool {
        self.format == Format::Table && self.columns.is_none() && count == 0
    }

    /// The statement is done; `count` rows were given or written, and this was said of it.
    pub fn complete(&mut self, count: u64, notices: &[String]) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let columns = self.columns.take();
        if self.format != Format::Table {
            return Ok(());
        }
        let noun = if count == 1 { "row" } else { "rows" };
        match columns {
            Some(columns) => {
                self.out.write_all(table(&columns, &rows).as_bytes())?;
                let noun = if rows.len() == 1 { "row" } else { "rows" };
                writeln!(self.out, "({} {noun})", rows.len())
            }
            None if count > 0 => writeln!(self.out, "done: {count} {noun}"),
            None if notices.is_empty() => writeln!(self.out, "done"),
            None => notices
                .iter()
                .try_for_each(|notice| writeln!(self.out, "done: {}", shown(Some(notice)))),
        }
    }

    /// Writes what is still held.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A value as a table shows it: on one line, and without a character that a terminal would act on.
pub fn shown(value: Option<&str>) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

/// Aligned columns: numbers to the right.
pub fn table(columns: &[String], rows: &[Row]) -> String {
    let head: Vec<String> = columns.iter().map(|name| shown(Some(name))).collect();
    let body: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|value| shown(value.as_deref())).collect())
        .collect();
    let mut widths: Vec<usize> = head.iter().map(|name| name.width()).collect();
    for row in &body {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = value.width().max(*width);
        }
    }
    let right: Vec<bool> = (0..head.len())
        .map(|column| {
            let mut values = rows.iter().filter_map(|row| row.get(column)?.as_deref()).peekable();
            values.peek().is_some() && values.all(|value| value.parse::<f64>().is_ok())
        })
        .collect();
    let line = |values: &[String], right: &[bool]| {
        let cells: Vec<String> = values
            .iter()
            .zip(&widths)
            .zip(right)
            .map(|((value, width), right)| {
                let space = " ".repeat(width - value.width());
                if *right {
                    format!(" {space}{value} ")
                } else {
                    format!(" {value}{space} ")
                }
            })
            .collect();
        cells.join("|").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut text = line(&head, &vec![false; head.len()]);
    text.push_str(&rule.join("+"));
    text.push('\n');
    for row in &body {
        text.push_str(&line(row, &right));
    }
    text
}

/// A line of RFC 4180. NULL is nothing, the empty text is `""`.
fn csv(row: &Row) -> String {
    let quoted = |value: &String| match value.is_empty() || value.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.clone(),
    };
    let fields: Vec<String> = row
        .iter()
        .map(|value| value.as_ref().map(quoted).unwrap_or_default())
        .collect();
    fields.join(",")
}

fn json(columns: &[String], kinds: &[Kind], row: &Row) -> String {
    let mut members: Vec<String> = Vec::new();
    for (index, (name, value)) in columns.iter().zip(row).enumerate() {
        let kind = kinds.get(index).copied().unwrap_or_default();
        members.push(format!("{}:{}", text(name), kind.json(value.as_deref())));
    }
    format!("{{{}}}", members.join(","))
}

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, kinds: &[&str], columns: &[&str], rows: &[&[Option<&str>]], expected: &str) {
        let kinds = kinds.iter().map(|name| Kind::of(name)).collect();
        let mut printer = Printer::new(format, kinds, Vec::new());
        printer
            .columns(columns.iter().map(|name| (*name).to_owned()).collect())
            .unwrap();
        for row in rows {
            printer
                .row(row.iter().map(|value| value.map(str::to_owned)).collect())
                .unwrap();
        }
        printer.complete(rows.len() as u64, &[]).unwrap();
        assert_eq!(String::from_utf8(printer.out).unwrap(), expected);
    }

    #[test]
    fn tables_are_aligned() {
        check(
            Format::Table,
            &[],
            &["account", "balance"],
            &[
                &[Some("BradA"), Some("100.00")],
                &[Some("Zoë\n"), Some("-5.00")],
                &[None, None],
            ],
            " account | balance\n---------+---------\n BradA   |  100.00\n Zoë\\n   |   -5.00\n NULL    |    NULL\n(3 rows)\n",
        );
        check(Format::Table, &[], &["n"], &[], " n\n---\n(0 rows)\n");
        check(
            Format::Table,
            &[],
            &["n"],
            &[&[Some("日本")]],
            " n\n------\n 日本\n(1 row)\n",
        );
    }

    #[test]
    fn csv_quotes_what_it_must() {
        check(
            Format::Csv,
            &[],
            &["a", "b,c"],
            &[
                &[Some("x"), None],
                &[Some(""), Some("say \"hi\"")],
                &[Some("1\n2"), Some("y")],
            ],
            "a,\"b,c\"\nx,\n\"\",\"say \"\"hi\"\"\"\n\"1\n2\",y\n",
        );
    }

    #[test]
    fn json_keeps_numbers_exact() {
        check(
            Format::Json,
            &["text", "numeric", "bool", "float8"],
            &["a", "n", "b", "f"],
            &[
                &[Some("7"), Some("12345678901234567890.10"), Some("t"), Some("NaN")],
                &[None, None, Some("f"), Some("1e3")],
            ],
            "{\"a\":\"7\",\"n\":12345678901234567890.10,\"b\":true,\"f\":\"NaN\"}\n{\"a\":null,\"n\":null,\"b\":false,\"f\":1e3}\n",
        );
        check(Format::Json, &[], &["n"], &[&[Some("7")]], "{\"n\":\"7\"}\n");
    }

    #[test]
    fn arrays_are_lists_in_json() {
        check(
            Format::Json,
            &["_int8", "_text", "_bool", "_numeric"],
            &["i", "t", "b", "n"],
            &[
                &[
                    Some("{1,NULL}"),
                    Some(r#"{a,"b \"c\"",NULL}"#),
                    Some("{t,f}"),
                    Some("{1.50}"),
                ],
                &[Some("{}"), None, Some("{}"), None],
            ],
            "{\"i\":[1,null],\"t\":[\"a\",\"b \\\"c\\\"\",null],\"b\":[true,false],\"n\":[1.50]}\n{\"i\":[],\"t\":null,\"b\":[],\"n\":null}\n",
        );
    }

    #[test]
    fn a_statement_without_rows_is_done() {
        let mut printer = Printer::new(Format::Table, Vec::new(), Vec::new());
        printer.complete(0, &[]).unwrap();
        printer.complete(2, &[]).unwrap();
        printer
            .complete(0, &["nothing waits".to_owned(), "or\nelse".to_owned()])
            .unwrap();
        assert_eq!(
            String::from_utf8(printer.out).unwrap(),
            "done\ndone: 2 rows\ndone: nothing waits\ndone: or\\nelse\n"
        );
    }
}

//! Rows as COPY … TO STDOUT sends them line by line.

use bytes::{BufMut, BytesMut};
use headwater_sql::syntax::CopyLines;

/// Writes a row of values, each put by `value` as its text; `false` means NULL, and nothing was put.
pub(crate) fn put_row(
    line: &mut BytesMut,
    form: &CopyLines,
    columns: usize,
    mut value: impl FnMut(usize, &mut BytesMut) -> bool,
) {
    let mut text = BytesMut::new();
    for column in 0..columns {
        if column > 0 {
            line.put_u8(form.delimiter);
        }
        text.clear();
        match value(column, &mut text) {
            true => put_value(line, form, &text, columns == 1),
            false => line.put_slice(form.null.as_bytes()),
        }
    }
    line.put_u8(b'\n');
}

/// Writes the names of the columns.
pub(crate) fn put_header<'a>(line: &mut BytesMut, form: &CopyLines, names: impl Iterator<Item = &'a str>) {
    let names: Vec<&str> = names.collect();
    put_row(line, form, names.len(), |column, text| {
        text.put_slice(names[column].as_bytes());
        true
    });
}

fn put_value(line: &mut BytesMut, form: &CopyLines, text: &[u8], is_alone: bool) {
    match form.is_csv {
        true => put_csv(line, form, text, is_alone),
        false => put_escaped(line, form, text),
    }
}

fn put_escaped(line: &mut BytesMut, form: &CopyLines, text: &[u8]) {
    for byte in text {
        let escaped = match byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            b'\\' => b'\\',
            byte if *byte == form.delimiter => *byte,
            byte => {
                line.put_u8(*byte);
                continue;
            }
        };
        line.put_u8(b'\\');
        line.put_u8(escaped);
    }
}

fn put_csv(line: &mut BytesMut, form: &CopyLines, text: &[u8], is_alone: bool) {
    let is_special = |byte: &u8| *byte == form.delimiter || *byte == form.quote || matches!(byte, b'\r' | b'\n');
    // What would be read as NULL, or as the end, is quoted.
    let is_quoted = text.iter().any(is_special) || text == form.null.as_bytes() || is_alone && text == b"\\.";
    if !is_quoted {
        line.put_slice(text);
        return;
    }
    line.put_u8(form.quote);
    for byte in text {
        if *byte == form.quote || *byte == form.escape {
            line.put_u8(form.escape);
        }
        line.put_u8(*byte);
    }
    line.put_u8(form.quote);
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::super::read;
    use super::*;

    fn form(is_csv: bool) -> CopyLines {
        CopyLines {
            is_csv,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { String::new() } else { "\\N".to_owned() },
            has_header: false,
            quote: b'"',
            escape: b'"',
        }
    }

    fn written(form: &CopyLines, values: &[Option<&str>]) -> String {
        let mut line = BytesMut::new();
        put_row(&mut line, form, values.len(), |column, text| {
            text.put_slice(values[column].unwrap_or_default().as_bytes());
            values[column].is_some()
        });
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn rows_are_written_as_postgres_writes_them() {
        assert_eq!(
            written(&form(false), &[Some("a\tb\\c\n"), None, Some("")]),
            "a\\tb\\\\c\\n\t\\N\t\n"
        );
        assert_eq!(
            written(&form(true), &[Some("a,b"), None, Some(""), Some("c\"d")]),
            "\"a,b\",,\"\",\"c\"\"d\"\n"
        );
        assert_eq!(written(&form(true), &[Some("\\.")]), "\"\\.\"\n");
    }

    #[test]
    fn what_is_written_is_read() {
        let values = [
            "",
            "\\N",
            "\\.",
            "a\tb",
            "c,d",
            "e\"f",
            "g\r\nh",
            "é\\x41",
            "\u{8}\u{b}\u{c}",
        ];
        let names = ["n", "v"];
        for is_csv in [false, true] {
            let form = form(is_csv);
            let sent: String = values
                .iter()
                .map(|value| written(&form, &[Some("1"), Some(value)]))
                .collect();
            let columns = read(sent.as_bytes(), &form, &names).unwrap();
            let came: Vec<Option<&str>> = columns[1].as_string::<i32>().iter().collect();
            assert_eq!(came, values.map(Some), "{sent:?}");
            let nothing = read(written(&form, &[Some("1"), None]).as_bytes(), &form, &names).unwrap();
            assert!(nothing[1].is_null(0));
        }
    }
}

//! Files of text, as people's editors save them.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// U+FEFF, which some editors put before the text to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file.
pub fn read(path: &Path) -> Result<String> {
    let text = String::from_utf8(std::fs::read(path)?).map_err(|why| {
        let at = why.utf8_error().valid_up_to();
        let why = format!("it is no UTF-8 text: the byte at {at} is wrong; save it as UTF-8");
        Error::new(ErrorKind::InvalidData, why)
    })?;
    Ok(without_mark(text))
}

/// A text without the mark before it.
pub fn without_mark(text: String) -> String {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_before_the_text_is_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let check = |bytes: &[u8], expected: std::result::Result<&str, &str>| {
            std::fs::write(&path, bytes).unwrap();
            match (read(&path), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected),
                (Err(why), Err(expected)) => assert!(why.to_string().contains(expected), "{why}"),
                (came, expected) => panic!("{came:?}, expected {expected:?}"),
            }
        };
        check("\u{feff}SHOW VIEWS".as_bytes(), Ok("SHOW VIEWS"));
        check("a\u{feff}".as_bytes(), Ok("a\u{feff}"));
        check(b"", Ok(""));
        check(b"-- caf\xe9", Err("the byte at 6 is wrong"));
    }
}

//! Arrays of one dimension as PostgreSQL writes them as a text, and reads them: `{1,2,NULL,"a b"}`.
//!
//! Source: `array_out` and `array_in` (`src/backend/utils/adt/arrayfuncs.c`).

/// What a text of an array cannot be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoArray(pub &'static str);

/// The elements of an array's text; `None` is a NULL.
pub fn from_text(text: &str) -> Result<Vec<Option<String>>, NoArray> {
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or(NoArray("an array is written in braces, {1,2,NULL}"))?;
    let mut elements: Vec<Option<String>> = Vec::new();
    let mut rest = inner.trim();
    if rest.is_empty() {
        return Ok(elements);
    }
    loop {
        let (element, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_element(quoted)?,
            None => bare_element(rest)?,
        };
        elements.push(element);
        let behind = behind.trim_start();
        if behind.is_empty() {
            return Ok(elements);
        }
        let next = behind.strip_prefix(',');
        rest = next
            .ok_or(NoArray("elements of an array have commas between them"))?
            .trim_start();
    }
}

/// The text of an array; `None` is a NULL.
pub(crate) fn to_text<'a>(elements: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut text = "{".to_owned();
    for (place, element) in elements.enumerate() {
        if place > 0 {
            text.push(',');
        }
        match element {
            Some(element) if is_bare(element) => text.push_str(element),
            Some(element) => {
                let escaped = element.replace('\\', "\\\\").replace('"', "\\\"");
                text.extend(["\"", &escaped, "\""]);
            }
            None => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

/// Whether an element is read as it is without quotes.
fn is_bare(element: &str) -> bool {
    let is_special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\' | '\u{b}') || c.is_ascii_whitespace();
    !element.is_empty() && !element.eq_ignore_ascii_case("null") && !element.contains(is_special)
}

/// An element up to its closing quote, and what is behind that.
fn quoted_element(text: &str) -> Result<(Option<String>, &str), NoArray> {
    let mut element = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((Some(element), &text[at + 1..])),
            '\\' => element.extend(characters.next().map(|(_, escaped)| escaped)),
            other => element.push(other),
        }
    }
    Err(NoArray("a quote of an element is not closed"))
}

/// An element without quotes, up to the next comma.
fn bare_element(text: &str) -> Result<(Option<String>, &str), NoArray> {
    let mut element = String::new();
    let mut is_escaped = false;
    let mut end = text.len();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ',' => {
                end = at;
                break;
            }
            '{' | '}' => return Err(NoArray("arrays of several dimensions are not taken")),
            '"' => return Err(NoArray("a quote stands in the middle of an element")),
            '\\' => {
                is_escaped = true;
                element.extend(characters.next().map(|(_, escaped)| escaped));
            }
            other => element.push(other),
        }
    }
    let bare = element.trim_end();
    match bare {
        "" => Err(NoArray("an empty element is written \"\"")),
        null if null.eq_ignore_ascii_case("null") && !is_escaped => Ok((None, &text[end..])),
        bare => Ok((Some(bare.to_owned()), &text[end..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_is_read_too() {
        let text = |elements: &[Option<&str>]| elements.iter().map(|element| element.map(str::to_owned)).collect();
        assert_eq!(
            from_text(" { 1 , null,\"x\" } "),
            Ok(text(&[Some("1"), None, Some("x")]))
        );
        assert_eq!(from_text("{ }"), Ok(Vec::new()));
        assert_eq!(from_text(r"{a\,b,nu\ll}"), Ok(text(&[Some("a,b"), Some("null")])));
    }

    #[test]
    fn arrays_are_read_as_they_are_written() {
        let elements = [Some("a b"), None, Some("null"), Some(""), Some(r#"x"\"#), Some("é")];
        let text = to_text(elements.into_iter());
        assert_eq!(text, r#"{"a b",NULL,"null","","x\"\\",é}"#);
        let read = from_text(&text).expect("an array");
        assert!(read.iter().map(Option::as_deref).eq(elements));
    }

    #[test]
    fn what_is_no_array_is_said() {
        for text in [
            "",
            "1,2",
            "{1",
            "{1,}",
            "{,}",
            "{{1},{2}}",
            "{\"a}",
            "{\"a\"b}",
            "{a\"b\"}",
        ] {
            assert!(from_text(text).is_err(), "{text}");
        }
    }
}

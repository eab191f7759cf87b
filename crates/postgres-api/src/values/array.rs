//! Arrays of one dimension: lists of scalars as PostgreSQL writes them.
//!
//! ```text
//! text     {1,2,NULL,"a b"}
//! binary   dimensions 1 (0: empty) | has NULLs 0/1 | object id of an element | elements | first index 1 | length, bytes | -1 of a NULL | …
//! ```
//!
//! Source: `array_out`, `array_send` and `array_recv` (`src/backend/utils/adt/arrayfuncs.c`).

use bytes::{BufMut, BytesMut};
use headwater_sql::encode::array_text::NoArray;

/// Writes an array as text. `put` writes an element; `false`: it is NULL.
pub(crate) fn put_text(count: usize, buffer: &mut BytesMut, mut put: impl FnMut(usize, &mut BytesMut) -> bool) {
    let mut element = BytesMut::new();
    buffer.put_u8(b'{');
    for index in 0..count {
        if index > 0 {
            buffer.put_u8(b',');
        }
        element.clear();
        match put(index, &mut element) {
            true => put_element(&element, buffer),
            false => buffer.put_slice(b"NULL"),
        }
    }
    buffer.put_u8(b'}');
}

/// Writes an array in the binary form.
pub(crate) fn put_binary(
    count: usize,
    element_oid: u32,
    has_nulls: bool,
    buffer: &mut BytesMut,
    mut put: impl FnMut(usize, &mut BytesMut) -> bool,
) {
    buffer.put_i32(i32::from(count > 0));
    buffer.put_i32(i32::from(has_nulls));
    buffer.put_u32(element_oid);
    if count == 0 {
        return;
    }
    buffer.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
    buffer.put_i32(1);
    for index in 0..count {
        let length_at = buffer.len();
        buffer.put_i32(-1);
        let begins_at = buffer.len();
        if put(index, buffer) {
            let length = i32::try_from(buffer.len() - begins_at).unwrap_or(i32::MAX);
            buffer[length_at..begins_at].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// An element, in quotes where it would be read otherwise without.
fn put_element(text: &[u8], buffer: &mut BytesMut) {
    let is_special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || is_space(*byte);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"NULL") && !text.iter().any(is_special) {
        return buffer.put_slice(text);
    }
    buffer.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            buffer.put_u8(b'\\');
        }
        buffer.put_u8(*byte);
    }
    buffer.put_u8(b'"');
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// The elements of an array in the binary form; `None` is a NULL.
pub(crate) fn from_binary(bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, NoArray> {
    const CUT_OFF: NoArray = NoArray("it ends in the middle of an array");
    let mut rest = bytes;
    let mut number = || -> Result<i32, NoArray> {
        let (number, behind) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
        rest = behind;
        Ok(i32::from_be_bytes(*number))
    };
    let dimensions = number()?;
    let (_has_nulls, _element_oid) = (number()?, number()?);
    match dimensions {
        0 => return Ok(Vec::new()),
        1 => {}
        _ => return Err(NoArray("arrays of several dimensions are not taken")),
    }
    let (count, _first_index) = (number()?, number()?);
    let count = usize::try_from(count).map_err(|_| CUT_OFF)?;
    // The bytes that came bound how many there can be, and not the number that is stated.
    let mut elements: Vec<Option<&[u8]>> = Vec::with_capacity(count.min(rest.len() / 4));
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
        rest = behind;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            elements.push(None);
            continue;
        }
        let length = usize::try_from(length).map_err(|_| CUT_OFF)?;
        let (element, behind) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
        rest = behind;
        elements.push(Some(element));
    }
    match rest {
        [] => Ok(elements),
        _ => Err(NoArray("there is more than its elements")),
    }
}

#[cfg(test)]
mod tests {
    use headwater_sql::encode::array_text::from_text;

    use super::*;

    fn put(elements: &[Option<&str>]) -> impl Fn(usize, &mut BytesMut) -> bool {
        move |index, buffer| match elements[index] {
            Some(text) => {
                buffer.put_slice(text.as_bytes());
                true
            }
            None => false,
        }
    }

    fn check(elements: &[Option<&str>], text: &str) {
        let mut buffer = BytesMut::new();
        put_text(elements.len(), &mut buffer, put(elements));
        assert_eq!(std::str::from_utf8(&buffer), Ok(text));
        let owned: Vec<Option<String>> = elements.iter().map(|element| element.map(str::to_owned)).collect();
        assert_eq!(from_text(text), Ok(owned), "{text}");
        buffer.clear();
        put_binary(elements.len(), 25, elements.contains(&None), &mut buffer, put(elements));
        let bytes: Vec<Option<&[u8]>> = elements.iter().map(|element| element.map(str::as_bytes)).collect();
        assert_eq!(from_binary(&buffer), Ok(bytes), "{text}");
        assert!(
            buffer.is_empty() || from_binary(&buffer[..buffer.len() - 1]).is_err(),
            "{text} cut off"
        );
    }

    #[test]
    fn arrays_are_read_as_they_are_written() {
        check(&[], "{}");
        check(&[Some("1"), None, Some("-2")], "{1,NULL,-2}");
        check(
            &[Some("a b"), Some(""), Some("null"), Some("NULL ")],
            r#"{"a b","","null","NULL "}"#,
        );
        check(
            &[Some("a\"b\\c"), Some("{x}"), Some("1,2"), Some("é")],
            r#"{"a\"b\\c","{x}","1,2",é}"#,
        );
        check(&[Some("line\nbreak")], "{\"line\nbreak\"}");
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let binary = |numbers: &[i32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_be_bytes()).collect() };
        for (numbers, is_array) in [
            (&[0, 0, 25][..], true),
            (&[1, 0, 25, 1, 1, -1], true),
            (&[1, 0, 25, 1, 1, -2], false),
            (&[1, 0, 25, 1, 1, 8], false),
            (&[1, 0, 25, -1, 1], false),
            (&[1, 0, 25, i32::MAX, 1], false),
            (&[1, 0, 25, 1, 1, -1, 7], false),
            (&[2, 0, 25, 1, 1, 1, 1, -1], false),
            (&[1, 0], false),
        ] {
            assert_eq!(from_binary(&binary(numbers)).is_ok(), is_array, "{numbers:?}");
        }
    }
}

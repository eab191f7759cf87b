//! JSON (RFC 8259) read field by field, without building a tree.
//!
//! The text is checked to its last byte, also the parts nobody asked for: a value is JSON or it is not, whatever is read from it.
//! Nesting is bounded, so that no text can exhaust the stack.
//!
//! What is called for each field is inlined into who reads it, also in another crate: views read every event here.

use std::cell::Cell;

use super::number;

/// How deep arrays and objects may be nested.
pub const DEPTH_MAX: usize = 128;

/// The value of a field, as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The literal.
    Number(&'a str),
    /// What stands between the quotes.
    Text {
        /// As it stands there.
        raw: &'a str,
        /// Whether it must go through [`unescape`].
        has_escapes: bool,
    },
    /// An array or an object.
    Nested,
}

impl<'a> Value<'a> {
    /// A number's literal, written as a number or as a string.
    pub fn literal(self) -> Option<&'a str> {
        match self {
            Value::Number(literal) => Some(literal),
            Value::Text {
                raw,
                has_escapes: false,
            } => Some(raw),
            _ => None,
        }
    }

    /// A string that has no reason to hold escapes.
    pub fn plain(self) -> Option<&'a str> {
        match self {
            Value::Text { raw, .. } => Some(raw),
            _ => None,
        }
    }
}

/// The name of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// The one that was expected, by its place.
    Expected(usize),
    /// Any other.
    Other {
        /// As it stands there.
        raw: &'a str,
        /// Whether it must go through [`unescape`].
        has_escapes: bool,
    },
}

/// What is wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What was expected, or is not allowed.
    pub what: &'static str,
    /// The byte, counted from the beginning of the text.
    pub at: usize,
}

/// Calls `field` with the raw name (and whether it has escapes), the value and the value's whole text for every field of the object
/// that `text` must be, in order. Names may repeat.
pub fn each_field<'a, E: From<JsonError>>(
    text: &'a str,
    mut field: impl FnMut(&'a str, bool, Value<'a>, &'a str) -> Result<(), E>,
) -> Result<(), E> {
    each(text, Scanner::name, |(name, has_escapes), value, whole| {
        field(name, has_escapes, value, whole)
    })
}

/// The same of a text whose writer mostly keeps an order. `names` are those that are looked for, as [`quoted`] gives them; the first is
/// expected first, and then the one that `field` gives the place of.
pub fn each_field_expecting<'a, E: From<JsonError>>(
    text: &'a str,
    names: &[Vec<u8>],
    mut field: impl FnMut(Name<'a>, Value<'a>, &'a str) -> Result<usize, E>,
) -> Result<(), E> {
    let next = Cell::new(0);
    each(
        text,
        |scanner| scanner.name_expecting(names, next.get()),
        |name, value, whole| {
            next.set(field(name, value, whole)?);
            Ok(())
        },
    )
}

/// A field's name as writers mostly write it, up to the value.
pub fn quoted(name: &str) -> Vec<u8> {
    let mut quoted = serde_json::to_vec(name).expect("a text is written to memory");
    quoted.push(b':');
    quoted
}

#[inline]
fn each<'a, N, E: From<JsonError>>(
    text: &'a str,
    mut name: impl FnMut(&mut Scanner<'a>) -> Result<N, JsonError>,
    mut field: impl FnMut(N, Value<'a>, &'a str) -> Result<(), E>,
) -> Result<(), E> {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        scanner.value(0)?;
        scanner.end()?;
        return Err(JsonError {
            what: "it is no object",
            at: 0,
        }
        .into());
    }
    scanner.at += 1;
    scanner.skip_space();
    if scanner.peek() == Some(b'}') {
        scanner.at += 1;
        return Ok(scanner.end()?);
    }
    loop {
        let name = name(&mut scanner)?;
        let from = scanner.at;
        let value = scanner.value(1)?;
        field(name, value, &text[from..scanner.at])?;
        if scanner.is_last(b'}')? {
            return Ok(scanner.end()?);
        }
    }
}

/// Resolves the escapes of a string's raw text, which [`each_field`] has checked; what stands in `into` is kept before it.
pub fn unescape(raw: &str, into: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        into.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        rest = rest.get(at + 2..).unwrap_or_default();
        let plain = match escape {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, length) =
                    unicode(rest).ok_or("it has half a surrogate pair (\\u), which is no character")?;
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
                continue;
            }
            other => other,
        };
        into.push(plain);
    }
    into.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The character of the hex digits after `\u`, with the second half of a pair, and how many bytes that was.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first).map(|character| (character, 4));
    }
    let second = unit(text.get(4..)?.strip_prefix("\\u")?)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).map(|character| (character, 10))
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn wrong(&self, what: &'static str) -> JsonError {
        let what = if self.at < self.bytes.len() {
            what
        } else {
            "it is cut short"
        };
        JsonError { what, at: self.at }
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but space may follow.
    #[inline]
    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("something follows the end of the value")),
        }
    }

    /// A field's name and the colon, up to the value.
    #[inline]
    fn name(&mut self) -> Result<(&'a str, bool), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a field's name in quotes was expected"));
        }
        let name = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.wrong("':' was expected"));
        }
        self.at += 1;
        self.skip_space();
        Ok(name)
    }

    #[inline]
    fn name_expecting(&mut self, names: &[Vec<u8>], expected: usize) -> Result<Name<'a>, JsonError> {
        if let Some(name) = names.get(expected)
            && self.bytes[self.at..].starts_with(name)
        {
            self.at += name.len();
            self.skip_space();
            return Ok(Name::Expected(expected));
        }
        let (raw, has_escapes) = self.name()?;
        Ok(Name::Other { raw, has_escapes })
    }

    /// After a value: whether `close` ends the container; otherwise a comma was taken.
    #[inline]
    fn is_last(&mut self, close: u8) -> Result<bool, JsonError> {
        self.skip_space();
        let found = self.peek();
        if found != Some(b',') && found != Some(close) {
            return Err(self.wrong("',' or the closing bracket was expected"));
        }
        self.at += 1;
        if found == Some(b',') {
            self.skip_space();
        }
        Ok(found == Some(close))
    }

    #[inline]
    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => {
                let (raw, has_escapes) = self.string()?;
                Ok(Value::Text { raw, has_escapes })
            }
            Some(b'-' | b'0'..=b'9') => {
                let length = number::literal_length(&self.bytes[self.at..]);
                if length == 0 {
                    return Err(self.wrong("a number is not written as JSON writes it"));
                }
                self.at += length;
                Ok(Value::Number(&self.text[self.at - length..self.at]))
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.wrong("a value was expected")),
        }
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("a value was expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.open(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Nested);
        }
        loop {
            self.name()?;
            self.value(depth + 1)?;
            if self.is_last(b'}')? {
                return Ok(Value::Nested);
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.open(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Nested);
        }
        loop {
            self.value(depth + 1)?;
            if self.is_last(b']')? {
                return Ok(Value::Nested);
            }
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth >= DEPTH_MAX {
            return Err(self.wrong("it is nested deeper than 128 levels"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// A string from its opening quote to after its closing one: what is between, and whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<(&'a str, bool), JsonError> {
        let from = self.at + 1;
        let mut has_escapes = false;
        self.at = from;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((&self.text[from..self.at - 1], has_escapes));
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return Err(self.wrong("a control character stands unescaped in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.wrong("\\u is not followed by four hex digits"));
                }
                6
            }
            _ => return Err(self.wrong("an escape is unknown")),
        };
        self.at += length;
        Ok(())
    }
}

/// Where, from `at` on, the bytes of a string that stand for themselves end: at a quote, a backslash, a control character or the end.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += size_of::<u64>();
    }
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    at + bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| is_plain(byte))
        .count()
}

/// Eight bytes at once: the high bit of the first that is a quote, a backslash or a control character is set, and none below it. Above it, a
/// borrow of the subtraction may set more ("Bit Twiddling Hacks", determine if a word has a byte less than n).
#[inline]
fn marks(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let below = |word: u64, least: u8| word.wrapping_sub(EACH * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Vec<(String, String)>, JsonError> {
        let mut found = Vec::new();
        each_field(text, |name, _, _, whole| {
            found.push((name.to_owned(), whole.to_owned()));
            Ok::<(), JsonError>(())
        })?;
        Ok(found)
    }

    /// Whatever serde_json takes as an object is taken, and nothing else.
    #[test]
    fn agrees_with_serde_json() {
        let texts = [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#"{"a":1,}"#,
            r#"{"a" : [1, {"b":[]}, "x"] , "c":null}"#,
            r#"{"a":1}{"a":2}"#,
            r#"{"a":1"#,
            "",
            " ",
            "1",
            "[1]",
            "[1",
            "null",
            "nul",
            "\"a\"",
            r#"{"a":"\u00e9\n\""}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":1e5}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{a:1}"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":tru}"#,
            r#"{"a":true,"a":false}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":1} x"#,
            r#"{"ä":"ö"}"#,
            "{\"a\":\"\u{1}\"}",
            "{,}",
            "{\"a\":1,,\"b\":2}",
            "}",
            "]",
        ];
        for text in texts {
            let expected = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
            assert_eq!(
                fields(text).is_ok(),
                expected.is_ok(),
                "{text}: {:?}, {expected:?}",
                fields(text)
            );
            for cut in 0..text.len() {
                if let Some(text) = text.get(..cut) {
                    let expected = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
                    assert_eq!(fields(text).is_ok(), expected.is_ok(), "{text}");
                }
            }
        }
    }

    /// Eight bytes at once, or one after another: every byte at every place, alone and before another.
    #[test]
    fn a_string_ends_where_its_first_special_byte_is() {
        let slowly = |bytes: &[u8]| {
            let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            bytes.iter().position(is_special).unwrap_or(bytes.len())
        };
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    assert_eq!(plain_end(&bytes, 0), slowly(&bytes), "{bytes:?}");
                    if let Some(next) = bytes.get_mut(at + 1) {
                        *next = byte ^ 1;
                        assert_eq!(plain_end(&bytes, 0), slowly(&bytes), "{bytes:?}");
                    }
                }
            }
        }
    }

    /// What is expected is found where it is written so, and read as ever where it is not.
    #[test]
    fn expected_names_are_the_same_names() {
        let names = ["a", "b\"c", "ä"].map(quoted);
        let check = |text: &str, expected: &str| {
            let mut found: Vec<String> = Vec::new();
            let read = each_field_expecting::<JsonError>(text, &names, |name, _, whole| {
                let (name, next) = match name {
                    Name::Expected(place) => (format!("#{place}"), place + 1),
                    Name::Other { raw, .. } => (raw.to_owned(), 0),
                };
                found.push(format!("{name}={whole}"));
                Ok(next)
            });
            assert_eq!(read.map(|()| found.join(" ")), Ok(expected.to_owned()), "{text}");
        };
        check(r#"{"a":1,"b\"c": 2,"ä":[3]}"#, "#0=1 #1=2 #2=[3]");
        check(r#"{"a" :1,"a":2,"a":3}"#, "a=1 #0=2 a=3");
        check(r#"{"x":1,"a":2,"ä":3,"a":4}"#, r#"x=1 #0=2 ä=3 #0=4"#);
        check("{}", "");
    }

    #[test]
    fn escapes_are_resolved() {
        let check = |raw: &str| {
            let mut into = b"before".to_vec();
            let ours = unescape(raw, &mut into).map(|()| String::from_utf8(into).expect("UTF-8"));
            let theirs = serde_json::from_str::<String>(&format!("\"{raw}\"")).map(|text| format!("before{text}"));
            assert_eq!(ours.ok(), theirs.ok(), "{raw}");
        };
        for raw in [
            "",
            "plain",
            r"\n\t\r\b\f\/\\\x22",
            r"\u0041\u00e9\u20ac",
            r"\ud83d\ude00!",
            r"\ud83d",
            r"\ud83dx",
            r"\ud83d\u0041",
            r"\ude00",
        ] {
            let raw = raw.replace(r"\x22", "\\\"");
            check(&raw);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(fields(&nested(DEPTH_MAX - 1)).is_ok());
        assert!(fields(&nested(DEPTH_MAX)).is_err());
        assert!(fields(&nested(1_000_000)).is_err());
        assert!(fields(&"[".repeat(1_000_000)).is_err());
    }
}

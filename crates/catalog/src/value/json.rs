//! JSON (RFC 8259) read field by field, without building a tree.
//!
//! The text is checked to its last byte, also the parts nobody asked for: a value is JSON or it is not, whatever is read from it.
//! Nesting is bounded, so that no text can exhaust the stack.

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
        let (name, has_escapes) = scanner.name()?;
        let from = scanner.at;
        let value = scanner.value(1)?;
        field(name, has_escapes, value, &text[from..scanner.at])?;
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

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but space may follow.
    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("something follows the end of the value")),
        }
    }

    /// A field's name and the colon, up to the value.
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

    /// After a value: whether `close` ends the container; otherwise a comma was taken.
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
    fn string(&mut self) -> Result<(&'a str, bool), JsonError> {
        let from = self.at + 1;
        let mut has_escapes = false;
        self.at = from;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((&self.text[from..self.at - 1], has_escapes));
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
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

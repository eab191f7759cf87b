//! From the text of a query to its parts, by recursive descent; [`super`] has the table of what is written.
//!
//! Invariant: work and memory are bounded by the text's length, which is bounded, and the stack by the depth of brackets, which is too.

use super::QueryError;
use super::syntax::{Node, Occurs};
use super::typed::{Written, typed};
use crate::search::field::{Field, FieldKind};
use crate::search::limits::{
    FUZZY_DISTANCE_MAX, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_WORDS_MAX, SLOP_MAX, WEIGHT_MAX,
};
use crate::search::numbers::End;

/// Reads a query.
pub(super) fn parse(text: &str, fields: &[Field]) -> Result<Node, QueryError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        words: 0,
        fields,
    };
    if text.len() > QUERY_BYTES_MAX {
        let why = format!("it has {} bytes, and {QUERY_BYTES_MAX} is the most", text.len());
        return Err(parser.error(why, "ask for less at once"));
    }
    parser.skip_spaces();
    if parser.rest().is_empty() {
        return Err(parser.error("it is empty", "write the words that are looked for; * finds every row"));
    }
    let node = parser.any_of(None)?;
    match parser.peek() {
        None => Ok(node),
        Some(c) => Err(parser.error(
            format!("'{c}' closes nothing"),
            "take it out, or write \\ before it to look for it",
        )),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The byte that is next.
    at: usize,
    depth: usize,
    words: usize,
    fields: &'a [Field],
}

/// What ends a word outside of a field's value.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"' | '[' | ']' | '{' | '}' | '^' | '~' | '*' | ':')
}

/// What ends the value of a field: a time of day has colons in it.
fn ends_value(c: char) -> bool {
    ends_word(c) && c != ':'
}

fn ends_bound(c: char) -> bool {
    c.is_whitespace() || matches!(c, ']' | '}' | '"')
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.at += c.len_utf8();
        }
        is_next
    }

    fn skip_spaces(&mut self) {
        while let Some(c) = self.peek().filter(|c| c.is_whitespace()) {
            self.at += c.len_utf8();
        }
    }

    fn error(&self, why: impl Into<String>, hint: impl Into<String>) -> QueryError {
        self.error_at(self.at, why, hint)
    }

    fn error_at(&self, at: usize, why: impl Into<String>, hint: impl Into<String>) -> QueryError {
        QueryError {
            at: self.text[..at].chars().count() + 1,
            why: why.into(),
            hint: hint.into(),
        }
    }

    /// Whether one of these words is next, with a space or a bracket behind it.
    fn is_operator(&self, spellings: &[&str]) -> Option<usize> {
        let spelling = spellings.iter().find(|spelling| {
            let behind = self.rest().strip_prefix(**spelling);
            behind.is_some_and(|behind| behind.chars().next().is_none_or(|c| c.is_whitespace() || c == '('))
        })?;
        Some(spelling.len())
    }

    fn take_operator(&mut self, spellings: &[&str]) -> bool {
        self.skip_spaces();
        let length = self.is_operator(spellings);
        self.at += length.unwrap_or(0);
        length.is_some()
    }

    /// `… OR …`
    fn any_of(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        let first = self.all_of(field)?;
        let mut parts = vec![(Occurs::May, first)];
        while self.take_operator(&OR) {
            parts.push((Occurs::May, self.all_of(field)?));
        }
        Ok(group(parts))
    }

    /// `… AND …`
    fn all_of(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        let first = self.side_by_side(field)?;
        let mut parts = vec![(Occurs::Must, first)];
        while self.take_operator(&AND) {
            parts.push((Occurs::Must, self.side_by_side(field)?));
        }
        Ok(group(parts))
    }

    /// Parts with nothing between them.
    fn side_by_side(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        let mut parts: Vec<(Occurs, Node)> = Vec::new();
        loop {
            self.skip_spaces();
            let is_over = self.peek().is_none_or(|c| c == ')')
                || self.is_operator(&OR).is_some()
                || self.is_operator(&AND).is_some();
            if is_over && parts.is_empty() {
                return Err(self.missing());
            }
            if is_over {
                return Ok(group(parts));
            }
            let occurs = self.occurs();
            parts.push((occurs, self.weighted(field)?));
        }
    }

    fn missing(&self) -> QueryError {
        let found = match self.peek() {
            None => "the query ends".to_owned(),
            Some(')') => "')' stands".to_owned(),
            Some(_) => "an operator stands".to_owned(),
        };
        self.error(
            format!("{found} where a word is expected"),
            "AND and OR stand between words; write \\AND to look for the word",
        )
    }

    fn occurs(&mut self) -> Occurs {
        if self.take('+') {
            return Occurs::Must;
        }
        match self.take('-') || self.take('!') || self.take_operator(&["NOT"]) {
            true => Occurs::Not,
            false => Occurs::Plainly,
        }
    }

    fn weighted(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        self.skip_spaces();
        let node = self.part(field)?;
        let start = self.at;
        if !self.take('^') {
            return Ok(node);
        }
        let weight = self.number();
        match weight.parse::<f32>() {
            Ok(weight) if weight > 0.0 && weight <= WEIGHT_MAX => Ok(Node::Weighted(Box::new(node), weight)),
            _ => Err(self.error_at(
                start,
                "^ is followed by no weight",
                format!("write a number above 0 and up to {WEIGHT_MAX}, as in scarf^3"),
            )),
        }
    }

    fn number(&mut self) -> String {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number = rest[..length].to_owned();
        self.at += length;
        number
    }

    /// A group, a phrase, a word, or one of them in a field.
    fn part(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        self.words += 1;
        if self.words > QUERY_WORDS_MAX {
            let why = format!("it has more than {QUERY_WORDS_MAX} words");
            return Err(self.error(why, "ask for less at once"));
        }
        let start = self.at;
        let written = match self.peek() {
            None => return Err(self.missing()),
            Some('(') => return self.in_brackets(field),
            Some('*') => return self.everything(field),
            Some('"') => self.phrase()?,
            Some('[' | '{') if field.is_some() => self.range()?,
            Some(c @ ('[' | ']' | '{' | '}' | '^' | '~' | ':')) => {
                let hint =
                    format!("a range has a field, as in price:[10 TO 20]; write \\{c} to look for the character");
                return Err(self.error(format!("'{c}' has nothing before it"), hint));
            }
            Some('>' | '<') if field.is_some() => self.half_range()?,
            Some(_) if field.is_some() => {
                let word = self.word(ends_value)?;
                self.ending(word)?
            }
            Some(_) => {
                let word = self.word(ends_word)?;
                if self.take(':') {
                    return self.in_field(&word, start);
                }
                self.ending(word)?
            }
        };
        if field.is_none() && !has_text(self.fields) {
            let why = "words without a field are looked for in text fields, and there are none";
            return Err(self.error_at(start, why, "write field:word"));
        }
        let leaf = typed(field.and_then(|field| self.fields.get(field)), written);
        let leaf = leaf.map_err(|(why, hint)| self.error_at(start, why, hint))?;
        Ok(Node::Leaf(field, leaf))
    }

    /// What stands behind a name and a colon.
    fn in_field(&mut self, name: &str, start: usize) -> Result<Node, QueryError> {
        let field = self.field(name, start)?;
        if self.peek().is_none_or(char::is_whitespace) {
            let why = format!("nothing is looked for in '{name}'");
            let hint = format!("write {name}:something, or \\: where the colon itself is meant");
            return Err(self.error(why, hint));
        }
        self.part(Some(field))
    }

    fn in_brackets(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        let start = self.at;
        if self.depth == QUERY_DEPTH_MAX {
            let why = format!("brackets nest deeper than {QUERY_DEPTH_MAX}");
            return Err(self.error(why, "ask for less at once"));
        }
        self.depth += 1;
        self.take('(');
        let inside = self.any_of(field)?;
        self.depth -= 1;
        match self.take(')') {
            true => Ok(inside),
            false => Err(self.error_at(start, "'(' is not closed", "write ) behind the group")),
        }
    }

    fn everything(&mut self, field: Option<usize>) -> Result<Node, QueryError> {
        let start = self.at;
        self.take('*');
        if self.peek().is_some_and(|c| !c.is_whitespace() && c != ')' && c != '^') {
            return Err(self.error_at(
                start,
                "* stands before a word",
                "it stands at a word's end, as in scar*; ends alone cannot be looked for",
            ));
        }
        Ok(field.map_or(Node::All, Node::Present))
    }

    fn phrase(&mut self) -> Result<Written, QueryError> {
        let text = self.quoted()?;
        let start = self.at;
        if !self.take('~') {
            return Ok(Written::Phrase(text, 0));
        }
        match self.number().parse::<u32>() {
            Ok(slop) if slop <= SLOP_MAX => Ok(Written::Phrase(text, slop)),
            _ => Err(self.error_at(
                start,
                "~ behind a phrase is followed by no number of words",
                format!("write how many others may stand between its words, 0 to {SLOP_MAX}, as in \"wool scarf\"~2"),
            )),
        }
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        self.take('"');
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.error_at(start, "the phrase is not closed", "write \" behind its last word"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.extend(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<Option<char>, QueryError> {
        let Some(c) = self.peek() else {
            return Err(self.error("\\ has nothing behind it", "write \\\\ to look for it"));
        };
        self.at += c.len_utf8();
        Ok(Some(c))
    }

    fn word(&mut self, ends: fn(char) -> bool) -> Result<String, QueryError> {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| !ends(*c)) {
            self.at += c.len_utf8();
            match c {
                '\\' => word.extend(self.escaped()?),
                c => word.push(c),
            }
        }
        Ok(word)
    }

    /// What may stand right behind a word: `*`, `~`, `~2`.
    fn ending(&mut self, word: String) -> Result<Written, QueryError> {
        let start = self.at;
        if self.take('*') {
            if self.peek().is_some_and(|c| !ends_word(c)) {
                return Err(self.error_at(
                    start,
                    "* stands in the middle of a word",
                    "it stands at a word's end, as in scar*",
                ));
            }
            return Ok(Written::Prefix(word));
        }
        if !self.take('~') {
            return Ok(Written::Word(word));
        }
        let number = self.number();
        let distance = match number.as_str() {
            "" => Ok(1),
            number => number.parse::<u8>(),
        };
        match distance {
            Ok(distance) if distance <= FUZZY_DISTANCE_MAX => Ok(Written::Fuzzy(word, distance)),
            _ => Err(self.error_at(
                start,
                format!("{number} letters of a word cannot be others"),
                format!("write ~1, or at most ~{FUZZY_DISTANCE_MAX}"),
            )),
        }
    }

    /// `[a TO b]`, `{a TO b}`, and one of each.
    fn range(&mut self) -> Result<Written, QueryError> {
        let start = self.at;
        let has_low = self.take('[');
        if !has_low {
            self.take('{');
        }
        let low = self.bound()?;
        let malformed = |parser: &Self, at: usize| {
            parser.error_at(
                at,
                "the range is not written as ranges are",
                "write [10 TO 20], {10 TO 20} without its ends, or * for an open end",
            )
        };
        if !self.take_operator(&["TO"]) {
            return Err(malformed(self, self.at));
        }
        let high = self.bound()?;
        self.skip_spaces();
        let has_high = self.take(']');
        if !has_high && !self.take('}') {
            return Err(malformed(self, start));
        }
        let end = |value: Option<String>, is_included: bool| value.map(|value| End { value, is_included });
        Ok(Written::Range(end(low, has_low), end(high, has_high)))
    }

    /// An end of a range; `None`: open.
    fn bound(&mut self) -> Result<Option<String>, QueryError> {
        self.skip_spaces();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let start = self.at;
        let word = self.word(ends_bound)?;
        match word.as_str() {
            "" => Err(self.error_at(start, "an end of the range is missing", "write * for an open end")),
            "*" => Ok(None),
            _ => Ok(Some(word)),
        }
    }

    /// `>a`, `>=a`, `<a`, `<=a`
    fn half_range(&mut self) -> Result<Written, QueryError> {
        let is_low = self.take('>');
        if !is_low {
            self.take('<');
        }
        let is_included = self.take('=');
        let start = self.at;
        let value = match self.peek() {
            Some('"') => self.quoted()?,
            _ => self.word(ends_value)?,
        };
        if self.at == start {
            return Err(self.error_at(
                start,
                "the range has no end",
                "write a value behind it, as in price:>=10",
            ));
        }
        let end = Some(End { value, is_included });
        Ok(match is_low {
            true => Written::Range(end, None),
            false => Written::Range(None, end),
        })
    }

    fn field(&self, name: &str, start: usize) -> Result<usize, QueryError> {
        let is_named = |same: fn(&str, &str) -> bool| self.fields.iter().position(|field| same(&field.name, name));
        let found = is_named(|field, name| field == name).or_else(|| is_named(str::eq_ignore_ascii_case));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
            self.error_at(
                start,
                format!("there is no field '{name}'"),
                format!(
                    "the fields are {}; write \\: where the colon itself is meant",
                    names.join(", ")
                ),
            )
        })
    }
}

const AND: [&str; 2] = ["AND", "&&"];
const OR: [&str; 2] = ["OR", "||"];

/// One part needs no group, as long as it is not one that must be missing.
fn group(mut parts: Vec<(Occurs, Node)>) -> Node {
    match parts.as_slice() {
        [(occurs, _)] if *occurs != Occurs::Not => parts.swap_remove(0).1,
        _ => Node::Group(parts),
    }
}

/// Whether words without a field have somewhere to be looked for.
fn has_text(fields: &[Field]) -> bool {
    fields.iter().any(|field| matches!(field.kind, FieldKind::Text(_)))
}

#[cfg(test)]
mod tests;

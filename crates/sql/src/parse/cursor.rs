//! A place in a statement's tokens, and the errors that name it.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};
use headwater_catalog::CatalogError;

use super::dialect::BoundedDialect;
use super::limits::{NESTING_MAX, STEPS_MIN, STEPS_PER_TOKEN};
use super::tokens::{Piece, first_lower, place};
use crate::syntax::Name;
use crate::{SqlError, SqlState};

/// The most characters of a token that an error repeats.
const FOUND_CHARS_MAX: usize = 40;

/// Walks through the tokens of one statement, or of a part of one.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pieces: &'a [Piece],
    at: usize,
    file: &'a str,
    /// Where the last token ends.
    end: Location,
    /// What stands behind the last token: said where one is missing there.
    behind: Option<&'a Piece>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(pieces: &'a [Piece], file: &'a str) -> Cursor<'a> {
        Cursor {
            pieces,
            at: 0,
            file,
            end: pieces.last().map_or(Location::new(1, 1), |last| last.span().end),
            behind: None,
        }
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&'a Piece> {
        self.pieces.get(self.at)
    }

    /// The token after `ahead` others.
    pub(super) fn peek_nth(&self, ahead: usize) -> Option<&'a Piece> {
        self.pieces.get(self.at.saturating_add(ahead))
    }

    /// The token before the next one.
    pub(super) fn previous(&self) -> Option<&'a Piece> {
        self.pieces.get(self.at.checked_sub(1)?)
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Option<&'a Piece> {
        let piece = self.pieces.get(self.at)?;
        self.at += 1;
        Some(piece)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.pieces.len()
    }

    /// The tokens that are left.
    pub(super) fn rest(&self) -> &'a [Piece] {
        self.pieces.get(self.at..).unwrap_or_default()
    }

    /// Where the next token stands, or where the last one ends.
    pub(super) fn location(&self) -> Location {
        self.peek().map_or(self.end, |piece| piece.span().start)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|piece| piece.is_word(word))
    }

    /// Whether the next tokens are these words.
    pub(super) fn are_words(&self, words: &[&str]) -> bool {
        let rest = self.rest();
        rest.len() >= words.len() && words.iter().zip(rest).all(|(word, piece)| piece.is_word(word))
    }

    /// Takes the next token if it is this word.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Takes the next tokens if they are these words.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|piece| piece.is(token));
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), SqlError> {
        match self.take_word(word) {
            true => Ok(()),
            false => Err(self.expected(word)),
        }
    }

    pub(super) fn expect(&mut self, token: &Token) -> Result<(), SqlError> {
        match self.take(token) {
            true => Ok(()),
            false => Err(self.expected(&format!("'{token}'"))),
        }
    }

    pub(super) fn expect_end(&self) -> Result<(), SqlError> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(self.expected("the end of the statement")),
        }
    }

    /// A name, in lower case unless quoted. `what` says of what.
    pub(super) fn name(&mut self, what: &str) -> Result<Name, SqlError> {
        match self.peek().map(|piece| (&piece.token.token, piece.span())) {
            Some((Token::Word(word), span)) => {
                self.at += 1;
                let value = match word.quote_style {
                    None => word.value.to_lowercase(),
                    Some(_) => word.value.clone(),
                };
                Ok(Name { value, span })
            }
            _ => Err(self.expected(what)),
        }
    }

    /// The name of something to be defined.
    pub(super) fn new_name(&mut self, what: &str) -> Result<Name, SqlError> {
        let name = self.object_name(what)?;
        match headwater_catalog::check_name(&name.value) {
            Ok(()) => Ok(name),
            Err(CatalogError::Invalid(why)) => Err(self.error_at(name.span.start, SqlState::INVALID_DEFINITION, why)),
            Err(other) => Err(self.error_at(name.span.start, SqlState::INVALID_DEFINITION, other.to_string())),
        }
    }

    /// The name of something in the catalog. A dot is part of it (`orders.eu`), as in the names of Kafka's topics;
    /// `public.` before it is what PostgreSQL's clients write, and means nothing.
    pub(super) fn object_name(&mut self, what: &str) -> Result<Name, SqlError> {
        let mut name = self.name(what)?;
        while self.take(&Token::Period) {
            let part = self.name(what)?;
            name = match name.value.as_str() {
                "public" => part,
                before => Name {
                    value: format!("{before}.{}", part.value),
                    span: name.span.union(&part.span),
                },
            };
        }
        Ok(name)
    }

    /// A list in brackets.
    pub(super) fn bracketed<T>(
        &mut self,
        mut item: impl FnMut(&mut Cursor<'a>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        self.expect(&Token::LParen)?;
        let mut items: Vec<T> = Vec::new();
        loop {
            items.push(item(self)?);
            if self.take(&Token::RParen) {
                return Ok(items);
            }
            if !self.take(&Token::Comma) {
                return Err(self.expected("',' or ')'"));
            }
        }
    }

    /// A list of names in brackets, each once.
    pub(super) fn names(&mut self, what: &str) -> Result<Vec<Name>, SqlError> {
        let mut names: Vec<Name> = Vec::new();
        let found = self.bracketed(|cursor| cursor.name(what))?;
        for name in found {
            if names.iter().any(|earlier| earlier.value == name.value) {
                return Err(self.error_at(
                    name.span.start,
                    SqlState::SYNTAX,
                    format!("'{}' is named twice", name.value),
                ));
            }
            names.push(name);
        }
        Ok(names)
    }

    /// A text in quotes.
    pub(super) fn text(&mut self, what: &str) -> Result<String, SqlError> {
        let text = match self.peek().map(|piece| &piece.token.token) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
            Some(Token::DollarQuotedString(quoted)) => quoted.value.clone(),
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(text)
    }

    /// The part of the tokens up to `length` ahead, as a cursor of its own; this one moves behind it.
    pub(super) fn part(&mut self, length: usize) -> Cursor<'a> {
        let rest = self.rest();
        let length = length.min(rest.len());
        let (part, behind) = rest.split_at(length);
        self.at += length;
        Cursor {
            pieces: part,
            at: 0,
            file: self.file,
            end: behind.first().map_or(self.end, |piece| piece.span().start),
            behind: behind.first().or(self.behind),
        }
    }

    /// How many tokens stand before the first one that `is_end` accepts on this level of brackets and outside of `CASE … END`.
    pub(super) fn length_until(&self, mut is_end: impl FnMut(&[Piece]) -> bool) -> usize {
        let rest = self.rest();
        let mut depth = 0_usize;
        for (index, piece) in rest.iter().enumerate() {
            if depth == 0 && is_end(&rest[index..]) {
                return index;
            }
            match &piece.token.token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                _ if piece.is_word("CASE") => depth += 1,
                _ if piece.is_word("END") => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        rest.len()
    }

    /// Lets sqlparser read from here on, and moves behind what it read.
    pub(super) fn sqlparser<T>(
        &mut self,
        read: impl FnOnce(&mut Parser) -> Result<T, ParserError>,
    ) -> Result<T, SqlError> {
        let rest = self.rest();
        let dialect = BoundedDialect::new(STEPS_MIN + STEPS_PER_TOKEN * rest.len() as u64);
        let tokens = rest.iter().map(folded).collect();
        let mut parser = Parser::new(&dialect)
            .with_recursion_limit(NESTING_MAX)
            .with_tokens_with_locations(tokens);
        let outcome = read(&mut parser);
        if dialect.is_exhausted() {
            return Err(self
                .error(
                    SqlState::TOO_COMPLEX,
                    "too many ways of reading this were tried, and none fits",
                )
                .hint("look for a missing bracket or keyword in the nested parts, or write them with WITH"));
        }
        match outcome {
            Ok(found) => {
                let is_untouched = parser.peek_token_ref().span == self.peek().map_or(Span::empty(), Piece::span);
                let read = match is_untouched {
                    true => 0,
                    false => parser.get_current_index() + 1,
                };
                self.at += read.min(rest.len());
                Ok(found)
            }
            Err(error) => Err(self.translate(error)),
        }
    }

    /// One expression.
    pub(super) fn expression(&mut self) -> Result<ast::Expr, SqlError> {
        self.sqlparser(|parser| parser.parse_expr())
    }

    /// The empty span where the next token would stand.
    pub(super) fn nowhere(&self) -> Span {
        Span::new(self.location(), self.location())
    }

    /// `expected WHAT, found …`, at the next token.
    pub(super) fn expected(&self, what: &str) -> SqlError {
        let error = self.error(SqlState::SYNTAX, format!("expected {what}, found {}", self.found()));
        self.with_quotes(error, self.at)
    }

    /// Says how a name is written that the hyphen of this token would be a part of (`my-topic`), where it looks like one.
    fn with_quotes(&self, error: SqlError, at: usize) -> SqlError {
        let is_part = |piece: &Piece| match &piece.token.token {
            Token::Word(word) => word.quote_style.is_none(),
            Token::Number(..) | Token::Minus | Token::Period => true,
            _ => false,
        };
        let follows = |index: &usize| {
            let pair = (self.pieces.get(index.wrapping_sub(1)), self.pieces.get(*index));
            matches!(pair, (Some(before), Some(piece)) if before.end == piece.start && is_part(before) && is_part(piece))
        };
        let is_hyphen = self.pieces.get(at).is_some_and(|piece| piece.is(&Token::Minus));
        if !is_hyphen || !follows(&at) || !follows(&(at + 1)) {
            return error;
        }
        let first = (1..=at).rev().find(|index| !follows(index)).unwrap_or(0);
        let last = (at..self.pieces.len()).take_while(|index| follows(index)).count();
        let parts = self.pieces.iter().take(at + last).skip(first);
        let name: String = parts.map(|piece| piece.token.to_string()).collect();
        error.hint(format!("a name with a hyphen stands in double quotes: \"{name}\""))
    }

    /// What stands here, for a message.
    pub(super) fn found(&self) -> String {
        match self.peek().or(self.behind) {
            Some(piece) => shown(&piece.token.token),
            None => "the end of the statement".to_owned(),
        }
    }

    /// An error at the next token.
    pub(super) fn error(&self, state: SqlState, message: impl Into<String>) -> SqlError {
        self.error_at(self.location(), state, message)
    }

    /// An error at a location.
    pub(super) fn error_at(&self, location: Location, state: SqlState, message: impl Into<String>) -> SqlError {
        SqlError::new(state, message).at(place(self.file, location))
    }

    /// What sqlparser said, in our words and at our place.
    fn translate(&self, error: ParserError) -> SqlError {
        let text = match error {
            ParserError::RecursionLimitExceeded => {
                return self
                    .error(
                        SqlState::TOO_COMPLEX,
                        format!("this is nested more than {NESTING_MAX} deep"),
                    )
                    .hint("name parts of the query with WITH, or take away brackets");
            }
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        };
        let (text, location) = split_location(&text);
        let mut end = self.clone();
        end.at = end.pieces.len();
        let location = location.unwrap_or(self.end);
        let message = match text
            .strip_prefix("Expected: ")
            .and_then(|text| text.rsplit_once(", found: "))
        {
            Some((expected, _)) => {
                let at = self.pieces.iter().find(|piece| piece.span().start == location);
                let found = at.map_or_else(|| end.found(), |piece| shown(&piece.token.token));
                match expected.chars().any(char::is_alphanumeric) {
                    true => format!("expected {expected}, found {found}"),
                    false => format!("expected '{expected}', found {found}"),
                }
            }
            None => first_lower(text),
        };
        let error = self.error_at(location, SqlState::SYNTAX, message);
        let at = self.pieces.iter().position(|piece| piece.span().start == location);
        match at {
            Some(at) => self.with_quotes(error, at),
            None => error,
        }
    }
}

/// A token as sqlparser gets it: a word in lower case unless quoted. Keywords are known by their kind, not by their letters.
fn folded(piece: &Piece) -> TokenWithSpan {
    let mut token = piece.token.clone();
    if let Token::Word(word) = &mut token.token
        && word.quote_style.is_none()
    {
        word.value = word.value.to_lowercase();
    }
    token
}

/// A token in a message, cut where it is long.
fn shown(token: &Token) -> String {
    let text = match token {
        Token::Word(word) if word.quote_style.is_none() => format!("'{}'", word.value),
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => format!("the text {token}"),
        other => format!("'{other}'"),
    };
    match text.chars().count() > FOUND_CHARS_MAX {
        true => text.chars().take(FOUND_CHARS_MAX).chain(['…']).collect(),
        false => text,
    }
}

/// Takes ` at Line: 1, Column: 2` off the end of a message.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let parsed = text.rsplit_once(" at Line: ").and_then(|(message, numbers)| {
        let (line, column) = numbers.split_once(", Column: ")?;
        let location = Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?);
        Some((message, location))
    });
    match parsed {
        Some((message, location)) => (message, Some(location)),
        None => (text, None),
    }
}

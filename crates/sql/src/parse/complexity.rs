//! How deep a statement's tree will be, bounded before anything recurses: sqlparser, and every walk over what it gives.
//!
//! A tree grows a level with every bracket, every `CASE`, and every operator of a row (`a + b + c` is `(a + b) + c`). So the depth
//! is counted over the tokens, from the inside out: what stands on one level of brackets is as deep as its operators in a row and the
//! deepest bracket in it together. `AND` and `OR` bind weakest: between two of them, a row begins anew.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::limits::{BRACKETS_MAX, DEPTH_MAX, READINGS_MAX, SET_OPERATIONS_MAX};
use super::tokens::{Piece, place};
use crate::{SqlError, SqlState};

/// One level of brackets, or of `CASE … END`.
#[derive(Default)]
struct Level {
    is_case: bool,
    /// `AND` and `OR` in the expression that is being read.
    logical: usize,
    /// Other operators and keywords since the last of those, and the most there were between two.
    operators: usize,
    operators_most: usize,
    /// How deep the deepest bracket in this expression is.
    inner: usize,
    /// How deep the deepest expression before this one is.
    deepest: usize,
    set_operations: usize,
    /// How many brackets opened right before this one, itself included.
    run: usize,
    /// In how many ways what stands here may come to be read.
    readings: usize,
}

impl Level {
    fn count(&mut self, piece: &Piece) {
        if piece.is_word("AND") || piece.is_word("OR") {
            self.logical += 1;
            self.operators = 0;
        } else if is_operator(piece) {
            self.operators += 1;
            self.operators_most = self.operators_most.max(self.operators);
        }
    }

    /// An expression ends here, and another one begins beside it.
    fn end_expression(&mut self) {
        self.deepest = self.depth();
        self.logical = 0;
        self.operators = 0;
        self.operators_most = 0;
        self.inner = 0;
    }

    fn depth(&self) -> usize {
        self.deepest.max(self.logical + self.operators_most + self.inner)
    }
}

/// Refuses a statement whose tree would be too deep, or would take too long to find.
pub(super) fn check(pieces: &[Piece], file: &str) -> Result<(), SqlError> {
    let mut levels: Vec<Level> = vec![Level {
        readings: 1,
        ..Level::default()
    }];
    let mut before: Option<&Piece> = None;
    let mut is_after_interval = false;
    for (index, piece) in pieces.iter().enumerate() {
        step(&mut levels, before, &pieces[index..]);
        let fault = match levels.last() {
            Some(level) => fault(level, levels.len()),
            None => None,
        };
        if let Some((message, hint)) = fault {
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message)
                .hint(hint)
                .at(place(file, piece.span().start)));
        }
        if let Some((message, hint)) = misread(before, piece, is_after_interval) {
            return Err(SqlError::new(SqlState::SYNTAX, message)
                .hint(hint)
                .at(place(file, piece.span().start)));
        }
        is_after_interval = piece.is_word("INTERVAL") || (is_after_interval && is_interval_part(piece));
        before = Some(piece);
    }
    Ok(())
}

/// Counts the first of these tokens.
fn step(levels: &mut Vec<Level>, before: Option<&Piece>, rest: &[Piece]) {
    let (Some(level), Some(piece)) = (levels.last_mut(), rest.first()) else {
        return;
    };
    let is_branch = level.is_case && ["WHEN", "THEN", "ELSE"].iter().any(|word| piece.is_word(word));
    match piece.is(&Token::Comma) || is_branch || begins_clause(before, rest) {
        true => level.end_expression(),
        false => level.count(piece),
    }
    if ["UNION", "EXCEPT", "INTERSECT"].iter().any(|word| piece.is_word(word)) {
        level.set_operations += 1;
        level.end_expression();
    }
    if piece.is_word("SELECT") || piece.is_word("WITH") {
        level.readings = level.readings.saturating_mul(level.run.max(1));
        level.run = 1;
    }
    let is_run = before.is_some_and(|before| before.is(&Token::LParen));
    let opened = Level {
        is_case: piece.is_word("CASE"),
        run: if is_run { level.run + 1 } else { 1 },
        readings: level.readings,
        ..Level::default()
    };
    match &piece.token.token {
        Token::LParen | Token::LBracket | Token::LBrace => levels.push(opened),
        Token::RParen | Token::RBracket | Token::RBrace => {
            while levels.last().is_some_and(|level| level.is_case) {
                close(levels);
            }
            close(levels);
        }
        _ if piece.is_word("CASE") => levels.push(opened),
        _ if piece.is_word("END") && levels.last().is_some_and(|level| level.is_case) => close(levels),
        _ => {}
    }
}

/// Leaves a level; the outermost stays.
fn close(levels: &mut Vec<Level>) {
    if levels.len() < 2 {
        return;
    }
    if let Some(closed) = levels.pop()
        && let Some(level) = levels.last_mut()
    {
        level.inner = level.inner.max(closed.depth() + closed.set_operations + 1);
    }
}

/// What breaks a bound, and what to do.
fn fault(level: &Level, levels: usize) -> Option<(String, &'static str)> {
    if levels > BRACKETS_MAX + 1 {
        return Some((
            format!("brackets and CASE are nested more than {BRACKETS_MAX} deep"),
            "take away those that are not needed, or name parts of the query with WITH",
        ));
    }
    if level.depth() > DEPTH_MAX {
        return Some((
            format!("an expression has more than {DEPTH_MAX} operators in a row, those in its brackets included"),
            "compare with a list (IN (…)), or join with VALUES",
        ));
    }
    if level.set_operations > SET_OPERATIONS_MAX {
        return Some((
            format!("more than {SET_OPERATIONS_MAX} queries are put together with UNION, EXCEPT or INTERSECT"),
            "put them together in groups, in brackets",
        ));
    }
    if level.readings > READINGS_MAX {
        return Some((
            "too many queries stand in double brackets inside of each other".to_owned(),
            "take away the brackets that are not needed",
        ));
    }
    None
}

/// What sqlparser would follow without a bound of its own: `ARRAY<ARRAY<…` and `INTERVAL INTERVAL …`.
fn misread(before: Option<&Piece>, piece: &Piece, is_after_interval: bool) -> Option<(&'static str, &'static str)> {
    if piece.is(&Token::Lt) && before.is_some_and(|before| before.is_word("ARRAY")) {
        return Some((
            "ARRAY<…> is no type here",
            "write the type of the elements and [], such as BIGINT[]",
        ));
    }
    if piece.is_word("INTERVAL") && is_after_interval {
        return Some((
            "expected a text behind INTERVAL, found INTERVAL",
            "write it as INTERVAL '1 day'",
        ));
    }
    None
}

/// Whether no expression goes on over the first of these tokens.
fn begins_clause(before: Option<&Piece>, rest: &[Piece]) -> bool {
    const CLAUSES: [&str; 7] = ["SELECT", "JOIN", "ON", "WHERE", "HAVING", "LIMIT", "REQUIRE"];
    let Some(piece) = rest.first() else { return false };
    let next = rest.get(1);
    if CLAUSES.iter().any(|word| piece.is_word(word)) {
        return true;
    }
    if piece.is_word("GROUP") || piece.is_word("ORDER") {
        return next.is_some_and(|next| next.is_word("BY"));
    }
    // `LET name = …`: a column may have the name `let`.
    if piece.is_word("LET") {
        let is_name = next.is_some_and(|next| matches!(next.token.token, Token::Word(_)));
        return is_name && rest.get(2).is_some_and(|equals| equals.is(&Token::Eq));
    }
    // `a IS DISTINCT FROM b` goes on.
    piece.is_word("FROM") && !before.is_some_and(|before| before.is_word("DISTINCT"))
}

/// How deep the parser may have to go for these tokens, at most.
pub(super) fn nesting(pieces: &[Piece]) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0_usize;
    let mut prefixes = 0_usize;
    let mut is_after_operator = false;
    for piece in pieces {
        match &piece.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ => {}
        }
        let is_word = matches!(piece.token.token, Token::Word(_));
        let is_operator = is_operator(piece);
        let is_prefix = piece.is_word("CASE") || piece.is_word("NOT") || (is_operator && !is_word && is_after_operator);
        prefixes += usize::from(is_prefix);
        is_after_operator = is_operator;
        deepest = deepest.max(open);
    }
    deepest + prefixes
}

/// Whether a token can make the tree one level deeper without a bracket.
fn is_operator(piece: &Piece) -> bool {
    match &piece.token.token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && word.keyword != Keyword::NoKeyword
                && !["AS", "BY", "CASE", "END"].iter().any(|word| piece.is_word(word))
        }
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::RBrace => false,
        _ => true,
    }
}

/// Whether a token may stand between INTERVAL and its text.
fn is_interval_part(piece: &Piece) -> bool {
    const UNITS: [&str; 7] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "TO"];
    match &piece.token.token {
        Token::LParen | Token::RParen | Token::Number(..) => true,
        _ => UNITS.iter().any(|unit| piece.is_word(unit)),
    }
}

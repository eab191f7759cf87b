//! One path of a pattern: `(a IS customer WHERE …)-[e IS bought]->{1,4}(b)`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::cursor::Cursor;
use super::super::limits::{PATTERN_ELEMENTS_MAX, REPEATS_MAX};
use super::lexing::{is_next, operators};
use crate::graph::pattern::{Direction, EdgePattern, Element, PathMode, PathPattern, Repeats};
use crate::syntax::Name;
use crate::{SqlError, SqlState};

/// Reads a path.
pub(super) fn path(cursor: &mut Cursor) -> Result<PathPattern, SqlError> {
    let mut name: Option<Name> = None;
    if cursor.peek_nth(1).is_some_and(|piece| piece.is(&Token::Eq)) {
        name = Some(cursor.name("the name of a path")?);
        cursor.next();
    }
    let is_shortest = selector(cursor)?;
    let mode = mode(cursor);
    if !cursor.take_word("PATH") {
        cursor.take_word("PATHS");
    }
    let first = vertex(cursor)?;
    let mut hops: Vec<(EdgePattern, Element)> = Vec::new();
    let ends_here = |cursor: &Cursor| {
        const BEHIND: [&str; 3] = ["WHERE", "ONE", "COLUMNS"];
        cursor.is_at_end() || is_next(cursor, &Token::Comma) || BEHIND.iter().any(|word| cursor.is_word(word))
    };
    while !ends_here(cursor) {
        if hops.len() == PATTERN_ELEMENTS_MAX {
            let message = format!("a path has more than {PATTERN_ELEMENTS_MAX} edges");
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, message)
                .hint("write repeated edges once: -[IS label]->{1,10}"));
        }
        let at = cursor.clone();
        let edge = edge(cursor)?;
        let is_endless = edge.repeats.is_some_and(|repeats| repeats.max.is_none());
        if is_endless && mode == PathMode::Walk && !is_shortest {
            return Err(at
                .error(SqlState::SYNTAX, "a walk over any number of edges has no end")
                .hint("bound it ({1,10}), or write TRAIL, ACYCLIC, SIMPLE or ANY SHORTEST before the path"));
        }
        hops.push((edge, vertex(cursor)?));
    }
    let is_one_repeated = hops.len() == 1 && hops.iter().all(|(edge, _)| edge.repeats.is_some());
    if is_shortest && !is_one_repeated {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "ANY SHORTEST is there for a path of two vertices with a repeated edge between them",
            )
            .hint("write the rest of the pattern as paths of their own, behind a comma"));
    }
    Ok(PathPattern {
        name,
        mode,
        is_shortest,
        first,
        hops,
    })
}

/// `ANY SHORTEST`, where it stands here.
fn selector(cursor: &mut Cursor) -> Result<bool, SqlError> {
    let refuse = |cursor: &Cursor, what: &str| {
        Err(cursor
            .error(SqlState::NOT_SUPPORTED, format!("{what} is not there"))
            .hint("write ANY SHORTEST for one shortest path, or nothing for all paths"))
    };
    if cursor.take_words(&["ANY", "SHORTEST"]) {
        return Ok(true);
    }
    if cursor.is_word("ANY") {
        return refuse(cursor, "ANY without SHORTEST");
    }
    if cursor.are_words(&["ALL", "SHORTEST"]) {
        return refuse(cursor, "ALL SHORTEST");
    }
    if cursor.is_word("SHORTEST") {
        return refuse(cursor, "SHORTEST without ANY");
    }
    cursor.take_word("ALL");
    Ok(false)
}

fn mode(cursor: &mut Cursor) -> PathMode {
    const MODES: [(&str, PathMode); 4] = [
        ("WALK", PathMode::Walk),
        ("TRAIL", PathMode::Trail),
        ("ACYCLIC", PathMode::Acyclic),
        ("SIMPLE", PathMode::Simple),
    ];
    let found = MODES.into_iter().find(|(word, _)| cursor.take_word(word));
    found.map_or(PathMode::Walk, |(_, mode)| mode)
}

fn vertex(cursor: &mut Cursor) -> Result<Element, SqlError> {
    if !is_next(cursor, &Token::LParen) {
        return Err(cursor
            .expected("a vertex in brackets")
            .hint("a path is (a)-[e]->(b): vertices in round brackets, edges in square ones between them"));
    }
    let is_nested = |piece: Option<&super::super::tokens::Piece>| piece.is_some_and(|piece| piece.is(&Token::LParen));
    if is_nested(cursor.peek_nth(1)) {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "a path in brackets is not there")
            .hint("repeat a single edge: (a)-[IS label]->{1,4}(b)"));
    }
    cursor.next();
    element(cursor, &Token::RParen)
}

/// `[variable] [IS label | label …] [WHERE …]`, up to the closing bracket.
fn element(cursor: &mut Cursor, close: &Token) -> Result<Element, SqlError> {
    let mut variable: Option<Name> = None;
    let is_word = matches!(cursor.peek().map(|piece| &piece.token.token), Some(Token::Word(_)));
    if is_word && !cursor.is_word("IS") && !cursor.is_word("WHERE") {
        variable = Some(cursor.name("a variable")?);
    }
    let mut labels: Vec<Name> = Vec::new();
    if cursor.take_word("IS") || cursor.take(&Token::Colon) {
        labels = self::labels(cursor)?;
    }
    let mut filter = None;
    if cursor.take_word("WHERE") {
        let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(close)));
        let mut part = cursor.part(length);
        filter = Some(part.expression()?);
        if !part.is_at_end() {
            return Err(part.expected(&format!("'{close}'")));
        }
    }
    if !cursor.take(close) {
        return Err(cursor.expected(&format!("IS, WHERE or '{close}'")));
    }
    Ok(Element {
        variable,
        labels,
        filter,
    })
}

fn labels(cursor: &mut Cursor) -> Result<Vec<Name>, SqlError> {
    if cursor.take(&Token::Mod) {
        return Ok(Vec::new());
    }
    let mut labels: Vec<Name> = Vec::new();
    loop {
        if is_next(cursor, &Token::ExclamationMark) {
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, "a negated label is not there")
                .hint("name the labels that may be: IS a | b"));
        }
        labels.push(cursor.name("a label")?);
        if is_next(cursor, &Token::Ampersand) {
            return Err(cursor
                .error(
                    SqlState::NOT_SUPPORTED,
                    "an element with two labels at once cannot be asked for",
                )
                .hint("name one of them, or either: IS a | b"));
        }
        if !cursor.take(&Token::Pipe) {
            return Ok(labels);
        }
    }
}

/// An edge: `-[…]->`, `<-[…]-`, `-[…]-`, `->`, `<-`, `-`, each with how often it is repeated.
fn edge(cursor: &mut Cursor) -> Result<EdgePattern, SqlError> {
    let start = cursor.clone();
    let before = operators(cursor);
    if before.contains('~') {
        return Err(start
            .error(
                SqlState::NOT_SUPPORTED,
                "an edge without direction (~) is not there: all edges have one",
            )
            .hint("write -[…]- for either direction"));
    }
    let refuse = || {
        start
            .expected("an edge")
            .hint("write -[…]->, <-[…]- or -[…]-, or ->, <- and - where nothing is said of it")
    };
    if cursor.take(&Token::LBracket) {
        let is_left = match before.as_str() {
            "-" => false,
            "<-" => true,
            _ => return Err(refuse()),
        };
        let element = element(cursor, &Token::RBracket)?;
        let behind = operators(cursor);
        let (is_right, rest) = match (behind.strip_prefix("->"), behind.strip_prefix('-')) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => {
                return Err(cursor
                    .expected("'-' or '->' behind the edge's bracket")
                    .hint("an edge is -[…]->, <-[…]- or -[…]-"));
            }
        };
        let direction = match (is_left, is_right) {
            (false, true) => Direction::Right,
            (true, false) => Direction::Left,
            _ => Direction::Any,
        };
        let repeats = repeats(cursor, rest)?;
        return Ok(EdgePattern {
            element,
            direction,
            repeats,
        });
    }
    const SHORT: [(&str, Direction); 4] = [
        ("<->", Direction::Any),
        ("->", Direction::Right),
        ("<-", Direction::Left),
        ("-", Direction::Any),
    ];
    let found = SHORT
        .into_iter()
        .find_map(|(arrow, direction)| Some((before.strip_prefix(arrow)?, direction)));
    let (rest, direction) = found.ok_or_else(refuse)?;
    let repeats = repeats(cursor, rest)?;
    Ok(EdgePattern {
        element: Element {
            variable: None,
            labels: Vec::new(),
            filter: None,
        },
        direction,
        repeats,
    })
}

/// `*`, `+`, `?` (in the operators already read) or `{…}`.
fn repeats(cursor: &mut Cursor, operator: &str) -> Result<Option<Repeats>, SqlError> {
    let short = match operator {
        "" => None,
        "*" => Some(Repeats { min: 0, max: None }),
        "+" => Some(Repeats { min: 1, max: None }),
        "?" => Some(Repeats { min: 0, max: Some(1) }),
        _ => {
            return Err(cursor
                .error(SqlState::SYNTAX, format!("'{operator}' behind an edge means nothing"))
                .hint("an edge is repeated by {1,4}, *, + or ?"));
        }
    };
    if short.is_some() || !cursor.take(&Token::LBrace) {
        return Ok(short);
    }
    let start = cursor.clone();
    let min = number(cursor)?;
    let max = match cursor.take(&Token::Comma) {
        true => number(cursor)?,
        false if min.is_none() => return Err(cursor.expected("a number")),
        false => min,
    };
    cursor.expect(&Token::RBrace)?;
    let min = min.unwrap_or(0);
    if max.is_some_and(|max| max < min) {
        return Err(start.error(
            SqlState::SYNTAX,
            "the most repetitions of an edge are fewer than the least",
        ));
    }
    if min.max(max.unwrap_or(0)) > REPEATS_MAX {
        let message = format!("an edge is repeated more than {REPEATS_MAX} times");
        return Err(start
            .error(SqlState::NOT_SUPPORTED, message)
            .hint("leave the upper bound out, with ANY SHORTEST, TRAIL, ACYCLIC or SIMPLE before the path"));
    }
    Ok(Some(Repeats { min, max }))
}

fn number(cursor: &mut Cursor) -> Result<Option<u32>, SqlError> {
    let Some(Token::Number(number, _)) = cursor.peek().map(|piece| &piece.token.token) else {
        return Ok(None);
    };
    let parsed = number.parse::<u32>();
    let parsed = parsed.map_err(|_| cursor.error(SqlState::SYNTAX, format!("{number} is no number of edges")))?;
    cursor.next();
    Ok(Some(parsed))
}

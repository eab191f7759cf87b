//! `GRAPH_TABLE (…)`: read here, and handed on to the planner as a function of its text.
//!
//! ```text
//! FROM GRAPH_TABLE (shop MATCH (a)-[e]->(b) COLUMNS (b.id)) AS g
//! FROM graph_table('1:19', 'shop MATCH (a)-[e]->(b) COLUMNS (b.id)') AS g        what sqlparser reads
//! ```
//!
//! The text is read when the statement is (so that its faults are found then), and again when it is planned; the place says where it stands.

use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::super::cursor::Cursor;
use super::super::limits::PATTERN_ELEMENTS_MAX;
use super::super::tokens::{self, Piece};
use super::lexing::is_next;
use super::path::path;
use crate::graph::pattern::{GraphColumn, GraphPattern, PathPattern};
use crate::{SqlError, SqlState};

/// The table function that a pattern becomes.
pub(crate) const GRAPH_TABLE: &str = "graph_table";

/// The tokens of a statement with each pattern in one text.
pub(crate) fn cut(whole: &str, pieces: Vec<Piece>, file: &str) -> Result<Vec<Piece>, SqlError> {
    let begins = |pieces: &[Piece]| match pieces {
        [word, bracket, ..] => word.is_word(GRAPH_TABLE) && bracket.is(&Token::LParen),
        _ => false,
    };
    if !pieces.windows(2).any(begins) {
        return Ok(pieces);
    }
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut cursor = Cursor::new(&pieces, file);
    while let Some(piece) = cursor.peek() {
        if !begins(cursor.rest()) {
            kept.push(piece.clone());
            cursor.next();
            continue;
        }
        cursor.next();
        let Some(open) = cursor.next() else { break };
        let length = cursor.length_until(|rest| rest.first().is_some_and(|piece| piece.is(&Token::RParen)));
        let mut inside = cursor.part(length);
        let at = inside.location();
        let start = inside.peek().map_or(open.end, |first| first.start);
        read(&mut inside)?;
        let close = cursor.peek().ok_or_else(|| cursor.expected("')'"))?;
        let text = whole.get(start..close.start).unwrap_or_default().trim_end();
        kept.extend(as_function(piece, text, at));
        kept.push(close.clone());
        cursor.next();
    }
    Ok(kept)
}

/// `graph_table ( 'place' , 'text'`
fn as_function(word: &Piece, text: &str, at: Location) -> Vec<Piece> {
    let piece = |token: Token, span: Span| Piece {
        token: TokenWithSpan { token, span },
        start: word.start,
        end: word.end,
    };
    let there = Span::new(at, at);
    let text_of = |text: String| piece(Token::SingleQuotedString(text), there);
    vec![
        piece(Token::make_word(GRAPH_TABLE, None), word.span()),
        piece(Token::LParen, there),
        text_of(format!("{}:{}", at.line, at.column)),
        piece(Token::Comma, there),
        text_of(text.to_owned()),
    ]
}

/// Reads the text of a pattern that stands at a place (`line:column`).
pub(crate) fn pattern(place: &str, text: &str) -> Result<GraphPattern, SqlError> {
    let pieces = pieces(place, text)?;
    read(&mut Cursor::new(&pieces, ""))
}

/// The graph that the text of a pattern asks.
pub(crate) fn graph_name(text: &str) -> Option<String> {
    let pieces = pieces("1:1", text).ok()?;
    Cursor::new(&pieces, "").object_name("").ok().map(|name| name.value)
}

/// The tokens of a text, at the lines and columns where they stand in the statement.
fn pieces(place: &str, text: &str) -> Result<Vec<Piece>, SqlError> {
    let (line, column) = place.split_once(':').unwrap_or_default();
    let number = |text: &str| text.parse::<usize>().unwrap_or(1).max(1) - 1;
    let padded = format!("{}{}{text}", "\n".repeat(number(line)), " ".repeat(number(column)));
    Ok(tokens::statements(&padded, "")?.into_iter().flatten().collect())
}

fn read(cursor: &mut Cursor) -> Result<GraphPattern, SqlError> {
    let graph = cursor.object_name("the name of a property graph")?;
    cursor.expect_word("MATCH")?;
    let mut paths: Vec<PathPattern> = Vec::new();
    loop {
        paths.push(path(cursor)?);
        if paths.iter().map(|path| path.hops.len() + 1).sum::<usize>() > PATTERN_ELEMENTS_MAX {
            let message = format!("a pattern has more than {PATTERN_ELEMENTS_MAX} vertices");
            return Err(cursor
                .error(SqlState::NOT_SUPPORTED, message)
                .hint("ask in several steps, each a GRAPH_TABLE"));
        }
        if !cursor.take(&Token::Comma) {
            break;
        }
    }
    let mut filter = None;
    if cursor.take_word("WHERE") {
        let length = cursor.length_until(|rest| {
            let is_word = |word: &str| rest.first().is_some_and(|piece| piece.is_word(word));
            is_word("COLUMNS") || (is_word("ONE") && rest.get(1).is_some_and(|piece| piece.is_word("ROW")))
        });
        let mut part = cursor.part(length);
        filter = Some(part.expression()?);
        if !part.is_at_end() {
            return Err(part.expected("COLUMNS"));
        }
    }
    if cursor.take_words(&["ONE", "ROW", "PER"]) && !cursor.take_word("MATCH") {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "ONE ROW PER is there for MATCH alone")
            .hint("leave it out: each match gives one row"));
    }
    if !cursor.take_word("COLUMNS") {
        return Err(cursor
            .expected("an edge, ',', WHERE or COLUMNS")
            .hint("COLUMNS (…) says what the answer shows: COLUMNS (a.id AS id)"));
    }
    let columns = cursor.bracketed(column)?;
    cursor.expect_end()?;
    Ok(GraphPattern {
        graph,
        paths,
        filter,
        columns,
    })
}

/// `expression [AS name]`, `a.*`
fn column(cursor: &mut Cursor) -> Result<GraphColumn, SqlError> {
    let is = |ahead: usize, token: &Token| cursor.peek_nth(ahead).is_some_and(|piece| piece.is(token));
    if is(1, &Token::Period) && is(2, &Token::Mul) {
        let variable = cursor.name("a variable")?;
        cursor.next();
        cursor.next();
        return Ok(GraphColumn::All(variable));
    }
    let start = cursor.clone();
    let length = cursor.length_until(|rest| {
        rest.first()
            .is_some_and(|piece| piece.is(&Token::Comma) || piece.is(&Token::RParen) || piece.is_word("AS"))
    });
    let mut part = cursor.part(length);
    let expr = Box::new(part.expression()?);
    if !part.is_at_end() {
        return Err(part.expected("AS, ',' or ')'"));
    }
    if cursor.take_word("AS") {
        let name = cursor.name("the name of a column")?.value;
        return Ok(GraphColumn::Value { expr, name });
    }
    match expr.as_ref() {
        datafusion::sql::sqlparser::ast::Expr::CompoundIdentifier(parts) => {
            let name = parts.last().map_or(String::new(), |part| part.value.clone());
            Ok(GraphColumn::Value { expr, name })
        }
        _ if is_next(cursor, &Token::Comma) || is_next(cursor, &Token::RParen) => Err(start
            .error(SqlState::SYNTAX, "a column that is no property has no name")
            .hint("give it one with AS")),
        _ => Err(cursor.expected("AS, ',' or ')'")),
    }
}

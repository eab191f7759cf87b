//! From text to statements: sqlparser's tokenizer and expressions, our CREATE statements and rewinds.
//!
//! ```text
//! text ── tokens ──┬─ statement ── bounds ── patterns and rewinds cut out ──┬─ ours: read token by token
//!                  └─ statement …                                           └─ queries and expressions in them: sqlparser
//! ```
//!
//! Invariants
//! - No text makes this panic, recurse without bound or run longer than in proportion to its length.
//! - Every error says where: the file, the line and the column of the token at fault.
//! - What the language has and this program does not is refused by name, never skipped.

mod alter;
mod alter_schema;
mod changes;
mod column_types;
mod command;
mod complexity;
mod condition;
mod copy;
mod create;
mod cursor;
mod cursors;
mod default_value;
mod dialect;
mod format;
mod graph;
mod groups;
mod later;
mod limits;
mod parameters;
mod pipeline;
mod pointed;
mod question;
mod refusal;
mod refused;
mod rewind;
mod rows_from;
mod schedule;
mod session;
mod settings;
mod source;
mod stars;
mod stored;
mod stream;
mod subscribe;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod view;

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::syntax::{Parsed, Statement};
use crate::{SqlError, SqlState};
use cursor::Cursor;
pub(crate) use graph::{GRAPH_TABLE, graph_name, pattern};
use limits::{NESTING_INLINE_MAX, STACK_BYTES};
pub(crate) use pointed::pointed;
pub use settings::{size_bytes, span_ms};
use source::Source;
pub(crate) use stars::{Natural, Star, joined_by, spelled_out};
use tokens::Piece;

/// Parses a text of statements separated by `;`. `file` is named in errors; empty where the text came over a wire.
/// Empty statements are left out: a text of nothing but white space, comments and `;` gives none.
pub fn parse(text: &str, file: &str) -> Result<Vec<Parsed>, SqlError> {
    let mut parsed: Vec<Parsed> = Vec::new();
    for pieces in tokens::statements(text, file)? {
        parsed.push(parse_one(text, pieces, file)?);
    }
    Ok(parsed)
}

/// The words of a text, names in lower case unless they are quoted.
pub(crate) fn words(text: &str) -> Result<BTreeSet<String>, SqlError> {
    let pieces = tokens::statements(text, "")?.into_iter().flatten();
    let words = pieces.filter_map(|piece| match piece.token.token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    });
    Ok(words.collect())
}

fn parse_one(whole: &str, pieces: Vec<Piece>, file: &str) -> Result<Parsed, SqlError> {
    let (start, end, begins) = match (pieces.first(), pieces.last()) {
        (Some(first), Some(last)) => (first.start, last.end, first.span().start),
        _ => return Err(Cursor::new(&[], file).expected("a statement")),
    };
    let text = whole.get(start..end).unwrap_or_default();
    let place = tokens::place(file, begins);
    // What a client says to its session is not read to its end: it may hold anything.
    if let Some(statement) = session::session(&Cursor::new(&pieces, file)) {
        let text = text.to_owned();
        return Ok(Parsed { statement, text, place });
    }
    complexity::check(&pieces, file)?;
    tokens::check_brackets(&pieces, file)?;
    let read = || -> Result<Statement, SqlError> {
        let pieces = groups::in_brackets(changes::put_together(&table::written_out(&pieces)));
        let pieces = graph::cut(whole, rows_from::side_by_side(pieces, file)?, file)?;
        let unwound = rewind::unwind(&pieces, file)?;
        statement(&Source {
            whole,
            text,
            pieces: &unwound.pieces,
            rewinds: &unwound.rewinds,
            places: &unwound.places,
            file,
        })
    };
    let statement = match complexity::nesting(&pieces) > NESTING_INLINE_MAX {
        true => on_deep_stack(read)?,
        false => read()?,
    };
    let text = text.to_owned();
    Ok(Parsed { statement, text, place })
}

/// Reads on a thread with a stack that the deepest statement fits in, whatever the caller's is.
fn on_deep_stack(read: impl FnOnce() -> Result<Statement, SqlError> + Send) -> Result<Statement, SqlError> {
    let failed = |why: String| SqlError::new(SqlState::INTERNAL, format!("the statement could not be read: {why}"));
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new()
            .name("sql-parse".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, read);
        match reader.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(failed(
                "the parser broke off, which is a fault of this program".to_owned(),
            )),
            Err(error) => Err(failed(format!("no thread could be started: {error}"))),
        }
    })
}

fn statement(source: &Source) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source.pieces, source.file);
    let cursor = &mut cursor;
    let is = |word: &str| source.pieces.first().is_some_and(|piece| piece.is_word(word));
    if is("SHOW") {
        return session::show(cursor);
    }
    if is("DESCRIBE") || is("DESC") {
        return session::describe(cursor);
    }
    if is("DROP") {
        return session::drop(cursor);
    }
    let is_query = ["SELECT", "WITH", "VALUES"].iter().any(|word| is(word))
        || is("TABLE")
        || source.pieces.first().is_some_and(|piece| piece.is(&Token::LParen));
    if is_query {
        refused::in_query(source)?;
        return question::query(cursor, source);
    }
    for (word, read) in READERS {
        if is(word) {
            refused::in_query(source)?;
            return read(cursor, source);
        }
    }
    Err(refused::statement(cursor))
}

/// Reads one kind of statement.
type Reader = fn(&mut Cursor, &Source) -> Result<Statement, SqlError>;

/// The statements that hold a query, by their first word.
const READERS: [(&str, Reader); 11] = [
    ("ALTER", alter::alter),
    ("CREATE", create::create),
    ("INSERT", question::insert),
    ("COPY", copy::copy),
    ("EXPLAIN", question::explain),
    ("CALL", question::call),
    ("CANCEL", question::cancel),
    ("SUBSCRIBE", subscribe::subscribe),
    ("DECLARE", cursors::declare),
    ("FETCH", cursors::fetch),
    ("CLOSE", cursors::close),
];

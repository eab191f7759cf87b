//! What is recognised and refused: the reason, and what to do instead.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::source::Source;
use super::tokens::Piece;
use crate::{SqlError, SqlState};

const APPEND_ONLY: &str =
    "append an event that corrects it (INSERT INTO stream …); a view follows from its streams by itself";
const NO_TABLES: &str =
    "declare a stream: CREATE STREAM name (column TYPE, …); a table of the newest row of each key is a view over it";

/// First words of statements that PostgreSQL or the design has and this program does not, each with why and what to do.
const STATEMENTS: [(&str, &str, &str); 24] = [
    (
        "UPDATE",
        "UPDATE is not there: streams are append-only, an event is never changed",
        APPEND_ONLY,
    ),
    (
        "DELETE",
        "DELETE is not there: streams are append-only, an event is never deleted",
        APPEND_ONLY,
    ),
    (
        "MERGE",
        "MERGE is not there: streams are append-only, an event is never changed",
        APPEND_ONLY,
    ),
    (
        "REPLACE",
        "REPLACE is not there: streams are append-only, an event is never changed",
        APPEND_ONLY,
    ),
    (
        "TRUNCATE",
        "TRUNCATE is not there: streams are append-only, an event is never deleted",
        "DROP STREAM removes a stream with all of its events",
    ),
    (
        "ALTER",
        "ALTER is there for streams, and to build materialized views anew",
        "ALTER STREAM name SET (retention = '7 days'); CREATE OR REPLACE puts a new definition in the place of the old one; a stream may get nullable columns at the end",
    ),
    (
        "PREPARE",
        "PREPARE as a statement is not there",
        "prepare through the driver: the extended protocol has parameters",
    ),
    (
        "EXECUTE",
        "EXECUTE is not there",
        "prepare and execute through the driver, or CALL a command",
    ),
    (
        "MOVE",
        "MOVE is not there",
        "FETCH the rows and leave them, or begin the query further on",
    ),
    (
        "GRANT",
        "privileges are not there yet",
        "bind the doors to an address that only friends reach",
    ),
    (
        "REVOKE",
        "privileges are not there yet",
        "bind the doors to an address that only friends reach",
    ),
    (
        "LISTEN",
        "LISTEN is not there",
        "SUBSCRIBE TO view, tail the stream through HTTP, or read it with a Kafka consumer",
    ),
    ("NOTIFY", "NOTIFY is not there", "append an event to a stream"),
    (
        "LOCK",
        "locks are not there: nothing is changed in place",
        "check and append in one step with a command",
    ),
    ("VACUUM", "VACUUM is not there: nothing needs it", "leave it out"),
    ("ANALYZE", "ANALYZE is not there: nothing needs it", "leave it out"),
    ("REINDEX", "REINDEX is not there: nothing needs it", "leave it out"),
    ("CLUSTER", "CLUSTER is not there: nothing needs it", "leave it out"),
    (
        "CHECKPOINT",
        "CHECKPOINT is not there: nothing needs it",
        "leave it out",
    ),
    (
        "REFRESH",
        "REFRESH is not there: a materialized view is always kept up to date",
        "leave it out; SHOW VIEWS says how far each view is, and ALTER MATERIALIZED VIEW name REBUILD makes all of its rows anew",
    ),
    (
        "COMMENT",
        "COMMENT ON is not there",
        "write -- comments into the application's file",
    ),
    (
        "DO",
        "DO blocks are not there",
        "write a command (CREATE COMMAND), or statements one by one",
    ),
    ("USE", "USE is not there: there is one database", "leave it out"),
    ("LOAD", "LOAD is not there", "leave it out"),
];

/// What CREATE and DROP do not take, with what to do.
const NOUNS: [(&str, &str, &str); 21] = [
    ("TABLE", "tables are streams here", NO_TABLES),
    (
        "TEMP",
        "temporary tables are not there",
        "name parts of a query with WITH",
    ),
    (
        "TEMPORARY",
        "temporary tables are not there",
        "name parts of a query with WITH",
    ),
    (
        "UNLOGGED",
        "tables are streams here, and every stream is durable",
        NO_TABLES,
    ),
    ("EXTERNAL", "external tables are not there yet", NO_TABLES),
    ("FOREIGN", "foreign tables are not there yet", NO_TABLES),
    (
        "MODEL",
        "models are not there yet",
        "train outside on what a Kafka consumer or SELECT gives, and append the predictions to a stream",
    ),
    (
        "MIRROR",
        "mirrors are not there yet",
        "copy with a Kafka consumer and producer",
    ),
    (
        "PIPELINE",
        "a pipeline is a stream that a query makes",
        "write CREATE STREAM name AS SELECT …, and DROP STREAM name",
    ),
    (
        "INDEX",
        "indexes are not there: a view is found by its key",
        "make a view grouped by the columns it is asked by",
    ),
    (
        "UNIQUE",
        "indexes are not there: a view is found by its key",
        "check in a command with REQUIRE what must be unique",
    ),
    (
        "SEQUENCE",
        "sequences are not there",
        "every event has an offset that counts up (_offset)",
    ),
    (
        "FUNCTION",
        "functions are not there yet",
        "write the expression into a view",
    ),
    (
        "PROCEDURE",
        "procedures are not there",
        "write a command: CREATE COMMAND name (…) INTO stream AS …",
    ),
    (
        "TRIGGER",
        "triggers are not there",
        "fold the stream into a view, or read it with a Kafka consumer",
    ),
    ("TYPE", "types of your own are not there", "use TEXT or JSON"),
    (
        "DOMAIN",
        "types of your own are not there",
        "check in a command with REQUIRE",
    ),
    (
        "SCHEMA",
        "there is one schema, public",
        "put a prefix into the names: sales.orders",
    ),
    (
        "DATABASE",
        "there is one database",
        "run another program with another data folder",
    ),
    (
        "USER",
        "users and roles are not there yet",
        "bind the doors to an address that only friends reach",
    ),
    (
        "ROLE",
        "users and roles are not there yet",
        "bind the doors to an address that only friends reach",
    ),
];

/// Words that begin a statement.
const KNOWN_STATEMENTS: [&str; 11] = [
    "SELECT",
    "INSERT",
    "CREATE",
    "DROP",
    "CALL",
    "SHOW",
    "DESCRIBE",
    "EXPLAIN",
    "WITH",
    "VALUES",
    "SUBSCRIBE",
];

/// The error for a statement that none of ours begins like.
pub(super) fn statement(cursor: &Cursor) -> SqlError {
    for (word, why, instead) in STATEMENTS {
        if cursor.is_word(word) {
            return cursor.error(SqlState::NOT_SUPPORTED, why).hint(instead);
        }
    }
    let error = cursor.expected("a statement");
    let found = cursor
        .peek()
        .map_or(String::new(), |piece| piece.token.to_string().to_uppercase());
    match nearest(&found, &KNOWN_STATEMENTS) {
        Some(word) => error.hint(format!("did you mean {word}?")),
        None => error.hint("statements begin with SELECT, INSERT, CREATE, DROP, CALL, SHOW, DESCRIBE or EXPLAIN"),
    }
}

/// The error for what stands behind CREATE and is none of our nouns.
pub(super) fn create(cursor: &Cursor) -> SqlError {
    noun(
        cursor,
        "STREAM, MATERIALIZED VIEW, VIEW, PROPERTY GRAPH, COMMAND or SCHEDULE",
    )
}

/// The error for what stands behind DROP and is none of our nouns.
pub(super) fn drop(cursor: &Cursor) -> SqlError {
    let error = noun(
        cursor,
        "STREAM, VIEW, MATERIALIZED VIEW, PROPERTY GRAPH, COMMAND or SCHEDULE",
    );
    match cursor.is_word("TABLE") {
        true => SqlError {
            hint: Some("write DROP STREAM name: its events go with it".to_owned()),
            ..error
        },
        false => error,
    }
}

fn noun(cursor: &Cursor, expected: &str) -> SqlError {
    for (word, why, instead) in NOUNS {
        if cursor.is_word(word) {
            return cursor.error(SqlState::NOT_SUPPORTED, why).hint(instead);
        }
    }
    let found = cursor
        .peek()
        .map_or(String::new(), |piece| piece.token.to_string().to_uppercase());
    let error = cursor.expected(expected);
    match nearest(&found, &["STREAM", "MATERIALIZED", "VIEW", "COMMAND"]) {
        Some(word) => error.hint(format!("did you mean {word}?")),
        None => error,
    }
}

/// Table functions of the design that are not there yet.
const TABLE_FUNCTIONS: [(&str, &str); 2] = [
    ("RECOMMEND", "models are not there yet"),
    ("FORECAST", "models are not there yet"),
];

/// Refuses the parts of a query that sqlparser would misread and that are not there yet.
pub(super) fn in_query(source: &Source) -> Result<(), SqlError> {
    for (index, piece) in source.pieces.iter().enumerate() {
        let refuse = |what: String, instead: &str| {
            Err(
                SqlError::new(SqlState::NOT_SUPPORTED, format!("{what} is not there yet"))
                    .hint(instead)
                    .at(super::tokens::place(source.file, piece.span().start)),
            )
        };
        let next = source.pieces.get(index + 1);
        let is_call = next.is_some_and(|next| next.is(&Token::LParen));
        let is_table = index > 0
            && source
                .pieces
                .get(index - 1)
                .is_some_and(|before| before.is_word("FROM") || before.is_word("JOIN") || before.is_word("LATERAL"));
        if piece.is_word("CHANGES") && is_table && next.is_some_and(|next| next.is_word("OF")) {
            return refuse(
                "CHANGES OF".to_owned(),
                "tail the stream itself through HTTP or with a Kafka consumer",
            );
        }
        if is_call && is_table {
            for (function, instead) in TABLE_FUNCTIONS {
                if piece.is_word(function) {
                    return refuse(format!("{}()", function.to_lowercase()), instead);
                }
            }
        }
    }
    Ok(())
}

/// The clause of a query that a word was probably meant to begin: sqlparser takes a misspelt one for an alias, and stumbles over the next word.
pub(super) fn misspelt_clause(piece: &Piece) -> Option<(String, &'static str)> {
    const CLAUSES: [&str; 9] = [
        "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "UNION",
    ];
    match &piece.token.token {
        Token::Word(word) if word.quote_style.is_none() => {
            let clause = nearest(&word.value.to_uppercase(), &CLAUSES)?;
            (!piece.is_word(clause)).then(|| (word.value.clone(), clause))
        }
        _ => None,
    }
}

/// The word that differs by one or two letters, if any.
fn nearest<'a>(found: &str, words: &[&'a str]) -> Option<&'a str> {
    const WORD_CHARS_MAX: usize = 16;
    if found.chars().count() > WORD_CHARS_MAX {
        return None;
    }
    let near = words.iter().map(|word| (distance(found, word), *word)).min()?;
    (near.0 <= 2 && near.0 * 2 <= near.1.len()).then_some(near.1)
}

/// How many letters must be added, taken away or changed (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (place, other_letter) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other_letter);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

//! `CREATE [MATERIALIZED] VIEW name [STORED AS shape] [KEY (…)] [WITH (…)] AS SELECT …`.

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{CreateMode, Shape, ViewSettings};

use super::cursor::Cursor;
use super::question;
use super::source::Source;
use super::stored;
use crate::syntax::Statement;
use crate::{SqlError, SqlState};

/// Reads from the name on.
pub(super) fn create(
    cursor: &mut Cursor,
    mode: CreateMode,
    is_materialized: bool,
    source: &Source,
) -> Result<Statement, SqlError> {
    let name = cursor.new_name("the view's name")?;
    if cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        return Err(cursor
            .error(
                SqlState::NOT_SUPPORTED,
                "a list of columns behind a view's name is not there yet",
            )
            .hint("name them in the query: SELECT … AS name"));
    }
    let mut shape = is_materialized.then_some(Shape::Document);
    if cursor.is_word("STORED") {
        shape = Some(stored::shape(cursor, is_materialized)?);
    }
    let mut key: Vec<String> = Vec::new();
    let mut settings: Option<ViewSettings> = None;
    loop {
        if key.is_empty() && cursor.is_word("KEY") {
            key = self::key(cursor, is_materialized)?;
        } else if settings.is_none() && cursor.is_word("WITH") {
            settings = Some(stored::settings(cursor, shape.as_ref())?);
        } else {
            break;
        }
    }
    if !cursor.take_word("AS") {
        let what = match (is_materialized, key.is_empty(), &settings) {
            (true, true, None) => "STORED AS, KEY, WITH or AS",
            (true, true, Some(_)) => "KEY or AS",
            (true, false, None) => "WITH or AS",
            _ => "AS",
        };
        return Err(cursor
            .expected(what)
            .hint("a view's query follows AS: CREATE VIEW name AS SELECT …"));
    }
    let query_text = source.text_from(cursor);
    let question = question::whole(cursor, Vec::new())?;
    Ok(Statement::CreateView {
        name: name.value,
        shape,
        key,
        settings: settings.unwrap_or_default(),
        question,
        query_text,
        mode,
    })
}

/// `KEY (column, …)`.
fn key(cursor: &mut Cursor, is_materialized: bool) -> Result<Vec<String>, SqlError> {
    let at = cursor.location();
    cursor.next();
    if !is_materialized {
        return Err(cursor
            .error_at(
                at,
                SqlState::SYNTAX,
                "a plain view has no KEY: it is computed when asked",
            )
            .hint("write CREATE MATERIALIZED VIEW … STORED AS document KEY (…), or leave KEY out"));
    }
    let names = cursor.names("the name of a column")?;
    Ok(names.into_iter().map(|name| name.value).collect())
}

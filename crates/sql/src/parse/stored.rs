//! How a materialized view is stored: `STORED AS shape …` and `WITH (…)`.
//!
//! ```text
//! document      memory
//! search        (column TEXT ['language'] | KEYWORD | NUMBER | DATE, …)
//! graph         (SOURCE column, DESTINATION column)
//! columnar      [PARTITIONED BY (column, …)] [LOCATION 'address']
//! ```

use datafusion::sql::sqlparser::tokenizer::Token;
use headwater_catalog::{SearchField, SearchKind, Shape, ViewSettings};

use super::cursor::Cursor;
use super::limits::MEMORY_BYTES_MIN;
use super::settings::{size_bytes, span_ms};
use crate::{SqlError, SqlState};

const SHAPES: &str = "document, search, graph, columnar or memory";

/// Reads from STORED on.
pub(super) fn shape(cursor: &mut Cursor, is_materialized: bool) -> Result<Shape, SqlError> {
    if !is_materialized {
        return Err(cursor
            .error(
                SqlState::SYNTAX,
                "a plain view is not stored: it is computed when asked",
            )
            .hint("write CREATE MATERIALIZED VIEW, or leave STORED AS out"));
    }
    cursor.next();
    cursor.expect_word("AS")?;
    let start = cursor.clone();
    match cursor.name(SHAPES)?.value.as_str() {
        "document" => Ok(Shape::Document),
        "memory" => Ok(Shape::Memory),
        "search" => cursor.bracketed(search_field).map(Shape::Search),
        "graph" => graph(cursor),
        "columnar" => columnar(cursor),
        _ => Err(start.expected(SHAPES)),
    }
}

fn search_field(cursor: &mut Cursor) -> Result<SearchField, SqlError> {
    let name = cursor.name("the name of a column")?.value;
    let start = cursor.clone();
    let kind = match cursor
        .name("TEXT, KEYWORD, NUMBER or DATE")?
        .value
        .to_lowercase()
        .as_str()
    {
        "text" => {
            let is_text = |token: &Token| matches!(token, Token::SingleQuotedString(_));
            let has_language = cursor.peek().is_some_and(|piece| is_text(&piece.token.token));
            SearchKind::Text(has_language.then(|| cursor.text("a language")).transpose()?)
        }
        "keyword" => SearchKind::Keyword,
        "number" => SearchKind::Number,
        "date" => SearchKind::Date,
        _ => return Err(start.expected("TEXT, KEYWORD, NUMBER or DATE")),
    };
    Ok(SearchField { name, kind })
}

fn graph(cursor: &mut Cursor) -> Result<Shape, SqlError> {
    cursor.expect(&Token::LParen)?;
    cursor.expect_word("SOURCE")?;
    let source = cursor.name("the column that an edge goes out from")?.value;
    cursor.expect(&Token::Comma)?;
    cursor.expect_word("DESTINATION")?;
    let destination = cursor.name("the column that an edge leads to")?.value;
    cursor.expect(&Token::RParen)?;
    Ok(Shape::Graph { source, destination })
}

fn columnar(cursor: &mut Cursor) -> Result<Shape, SqlError> {
    let mut partitioned_by: Vec<String> = Vec::new();
    if cursor.take_words(&["PARTITIONED", "BY"]) {
        let names = cursor.names("the name of a column")?;
        partitioned_by = names.into_iter().map(|name| name.value).collect();
    }
    let location = cursor
        .take_word("LOCATION")
        .then(|| cursor.text("an address in quotes"));
    Ok(Shape::Columnar {
        partitioned_by,
        location: location.transpose()?,
    })
}

/// The setting that is no number.
const MAY_LOSE_EVENTS: &str = "may_lose_events";

/// Reads from WITH on: the settings that a shape has.
pub(super) fn settings(cursor: &mut Cursor, shape: Option<&Shape>) -> Result<ViewSettings, SqlError> {
    cursor.next();
    let mut settings = ViewSettings::default();
    cursor.bracketed(|cursor| setting(cursor, shape, &mut settings))?;
    Ok(settings)
}

fn setting(cursor: &mut Cursor, shape: Option<&Shape>, settings: &mut ViewSettings) -> Result<(), SqlError> {
    let start = cursor.clone();
    let name = cursor.name("the name of a setting")?.value;
    if shape.is_some() && name == MAY_LOSE_EVENTS {
        cursor.expect(&Token::Eq)?;
        let at = cursor.clone();
        let written = cursor.text("'true' or 'false'")?;
        settings.may_lose_events = match written.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                let message = format!("{MAY_LOSE_EVENTS} is 'true' or 'false', not '{written}'");
                return Err(at.error(SqlState::INVALID_DEFINITION, message));
            }
        };
        return Ok(());
    }
    let place = match (shape, name.as_str()) {
        (Some(Shape::Search(_)), "freshness") => &mut settings.freshness_ms,
        (Some(Shape::Columnar { .. }), "every") => &mut settings.every_ms,
        (Some(Shape::Columnar { .. }), "keep_versions") => &mut settings.keep_versions_ms,
        (Some(Shape::Memory), "memory") => &mut settings.memory_bytes,
        (Some(_), "checkpoints") => &mut settings.checkpoint_events,
        _ => {
            let stored = shape.map_or("a plain view".to_owned(), |shape| format!("a view stored as {shape}"));
            return Err(start
                .error(
                    SqlState::INVALID_DEFINITION,
                    format!("{stored} has no setting '{name}'"),
                )
                .hint("search has freshness, columnar has every and keep_versions, memory has memory, and all have checkpoints and may_lose_events"));
        }
    };
    if place.is_some() {
        return Err(start.error(SqlState::INVALID_DEFINITION, format!("'{name}' is set twice")));
    }
    cursor.expect(&Token::Eq)?;
    let at = cursor.clone();
    let written = cursor.text(&format!("the value of {name}, a text in quotes"))?;
    let value = match name.as_str() {
        "memory" => size_bytes(&written).and_then(|bytes| match bytes >= MEMORY_BYTES_MIN {
            true => Ok(bytes),
            false => Err(format!(
                "'{written}' is too little memory for a view: give it '64 KiB' or more"
            )),
        }),
        "checkpoints" => events(&written),
        _ => span_ms(&written),
    };
    let value = value.map_err(|why| at.error(SqlState::INVALID_DEFINITION, why))?;
    *place = Some(value);
    Ok(())
}

/// After how many events something is kept: a whole number, or `none`.
fn events(written: &str) -> Result<u64, String> {
    match written {
        "none" => Ok(0),
        number => match number.replace('_', "").parse() {
            Ok(events) if events > 0 => Ok(events),
            _ => Err(format!("'{number}' is no number of events: write '1000000', or 'none'")),
        },
    }
}

//! `CREATE STREAM name (columns) KEY (…) KIND (…) TAGS (…) TIME (…) WITH (…)`, or with a query in the place of the columns: a pipeline.

use datafusion::sql::sqlparser::tokenizer::{Location, Token};
use headwater_catalog::{Column, ColumnType, CreateMode, Format, StreamDefinition};
use headwater_eventlog::StreamSettings;
use headwater_records::limits::PARTITIONS_MAX;
use headwater_views::decode::SYSTEM_COLUMNS;

use super::column_types::{column_type, whole_number};
use super::cursor::Cursor;
use super::default_value::default_value;
use super::source::Source;
use super::{format, pipeline, settings};
use crate::syntax::{Name, Statement};
use crate::{SqlError, SqlState};

/// Reads from the name on.
pub(super) fn create(cursor: &mut Cursor, mode: CreateMode, source: &Source) -> Result<Statement, SqlError> {
    let name = cursor.new_name("the stream's name")?;
    let mut definition = StreamDefinition {
        name: name.value,
        columns: None,
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions: 0,
        format: Format::Json,
        statement: source.text.to_owned(),
        ..StreamDefinition::default()
    };
    // A pipeline's columns are its query's: which names there are is known when that is planned.
    let is_pipeline = pipeline::follows(cursor);
    if cursor.peek().is_some_and(|piece| piece.is(&Token::LParen)) {
        if is_pipeline {
            return Err(pipeline::refuse_columns(cursor));
        }
        definition.columns = Some(columns(cursor)?);
    }
    let mut declared = Declared {
        columns: definition.columns.clone(),
        is_open: is_pipeline,
        undeclared: None,
    };
    let mut pipeline = None;
    let mut settings: Box<StreamSettings> = Box::default();
    let mut has_options = false;
    let mut delimiter = None;
    while !cursor.is_at_end() {
        if definition.key.is_empty() && cursor.take_word("KEY") {
            definition.key = declared.names(cursor, "KEY")?;
        } else if definition.kind.is_none() && cursor.take_word("KIND") {
            definition.kind = Some(declared.one(cursor, "KIND")?.0);
        } else if definition.tags.is_empty() && cursor.take_word("TAGS") {
            definition.tags = declared.names(cursor, "TAGS")?;
        } else if definition.time.is_none() && cursor.take_word("TIME") {
            definition.time = Some(time(cursor, &mut declared)?);
        } else if !has_options && cursor.take_word("WITH") {
            has_options = true;
            delimiter = options(cursor, &mut definition, &mut settings)?;
        } else if is_pipeline && (cursor.is_word("FROM") || cursor.is_word("AS")) {
            pipeline = Some(Box::new(pipeline::query(cursor, source)?));
        } else {
            return Err(refuse_clause(cursor, &definition, has_options));
        }
    }
    if let Some(error) = declared.undeclared
        && definition.format.schema_type().is_none()
    {
        return Err(error);
    }
    format::settle(&mut definition, delimiter)?;
    Ok(Statement::CreateStream {
        definition,
        settings,
        pipeline,
        mode,
    })
}

/// What stands where a clause was expected.
fn refuse_clause(cursor: &Cursor, definition: &StreamDefinition, has_options: bool) -> SqlError {
    if cursor.is_word("PARTITIONED") || cursor.is_word("PARTITION") {
        return cursor
            .expected("KEY, KIND, TAGS, TIME or WITH")
            .hint("the key decides the partition; their number is WITH (partitions = 4)");
    }
    let clauses = [
        ("KEY", definition.key.is_empty()),
        ("KIND", definition.kind.is_none()),
        ("TAGS", definition.tags.is_empty()),
        ("TIME", definition.time.is_none()),
        ("WITH", !has_options),
    ];
    let mut open: Vec<&str> = Vec::new();
    if definition.columns.is_none() && clauses.iter().all(|(_, is_open)| *is_open) {
        open.push("'('");
    }
    open.extend(
        clauses
            .iter()
            .filter(|(_, is_open)| *is_open)
            .map(|(clause, _)| *clause),
    );
    open.push("the end of the statement");
    cursor.expected(&one_of(&open))
}

/// `a, b or c`
fn one_of(choices: &[&str]) -> String {
    match choices {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// `(column TYPE …, …)`
pub(super) fn columns(cursor: &mut Cursor) -> Result<Vec<Column>, SqlError> {
    if cursor.peek_nth(1).is_some_and(|piece| piece.is(&Token::RParen)) {
        return Err(cursor
            .error(SqlState::SYNTAX, "the list of columns is empty")
            .hint("name some, or leave the list out: the stream then takes any JSON"));
    }
    let mut columns: Vec<Column> = Vec::new();
    cursor.bracketed(|cursor| {
        let column = column(cursor, &columns)?;
        columns.push(column);
        Ok(())
    })?;
    Ok(columns)
}

/// One column, which is none of the earlier ones.
pub(super) fn column(cursor: &mut Cursor, earlier: &[Column]) -> Result<Column, SqlError> {
    const CONSTRAINTS: [(&str, &str); 5] = [
        ("PRIMARY", "KEY"),
        ("FOREIGN", "KEY"),
        ("UNIQUE", ""),
        ("CHECK", ""),
        ("CONSTRAINT", ""),
    ];
    for (first, second) in CONSTRAINTS {
        let follows = match second {
            "" => cursor.peek_nth(1).is_some_and(|piece| piece.is(&Token::LParen)) || first == "CONSTRAINT",
            second => cursor.are_words(&[first, second]),
        };
        if cursor.is_word(first) && follows {
            return Err(refuse_constraint(cursor));
        }
    }
    let name = column_name(cursor, earlier)?;
    let mut column = Column::new(name, column_type(cursor)?, true);
    let (mut says_null, mut says_default) = (false, false);
    loop {
        if !says_null && cursor.take_words(&["NOT", "NULL"]) {
            (says_null, column.nullable) = (true, false);
        } else if !says_null && cursor.take_word("NULL") {
            says_null = true;
        } else if !says_default && cursor.take_word("DEFAULT") {
            says_default = true;
            default_value(cursor, &mut column)?;
        } else {
            break;
        }
    }
    let is_end = cursor
        .peek()
        .is_none_or(|piece| piece.is(&Token::Comma) || piece.is(&Token::RParen));
    match is_end {
        true => Ok(column),
        false => Err(refuse_constraint(cursor)),
    }
}

/// A name that a column may get.
pub(super) fn column_name(cursor: &mut Cursor, earlier: &[Column]) -> Result<String, SqlError> {
    let at = cursor.location();
    let name = cursor.name("the name of a column")?;
    if SYSTEM_COLUMNS.contains(&name.value.as_str()) {
        return Err(cursor
            .error_at(
                at,
                SqlState::INVALID_DEFINITION,
                format!(
                    "a column cannot be called '{}': every stream has a column of that name already",
                    name.value
                ),
            )
            .hint("choose another name"));
    }
    if earlier.iter().any(|column| column.name == name.value) {
        return Err(cursor.error_at(
            at,
            SqlState::INVALID_DEFINITION,
            format!("column '{}' is there twice", name.value),
        ));
    }
    match name.value.is_empty() {
        true => Err(cursor.error_at(at, SqlState::SYNTAX, "the name of a column is empty")),
        false => Ok(name.value),
    }
}

fn refuse_constraint(cursor: &Cursor) -> SqlError {
    const CONSTRAINTS: [(&str, &str); 8] = [
        (
            "PRIMARY",
            "name the key behind the columns: KEY (column); a stream holds many events of one key",
        ),
        (
            "UNIQUE",
            "keep a view by that column, and check it in a command with REQUIRE",
        ),
        ("REFERENCES", "check it in a command with REQUIRE"),
        ("FOREIGN", "check it in a command with REQUIRE"),
        ("CHECK", "check it in a command with REQUIRE"),
        ("CONSTRAINT", "check it in a command with REQUIRE"),
        ("GENERATED", "compute it in a view"),
        ("COLLATE", "texts are compared byte by byte"),
    ];
    for (word, instead) in CONSTRAINTS {
        if cursor.is_word(word) {
            return cursor
                .error(SqlState::NOT_SUPPORTED, format!("{word} is nothing a stream can keep"))
                .hint(instead);
        }
    }
    cursor.expected("NOT NULL, DEFAULT, ',' or ')'")
}

/// The columns that clauses may name.
struct Declared {
    columns: Option<Vec<Column>>,
    /// Whether they are not known yet.
    is_open: bool,
    /// What is wrong with a name where no columns are declared, unless a schema brings them: known once the format is read.
    undeclared: Option<SqlError>,
}

impl Declared {
    /// `(column, …)`, each of them declared.
    fn names(&mut self, cursor: &mut Cursor, clause: &str) -> Result<Vec<String>, SqlError> {
        let names = cursor.names("the name of a column")?;
        for name in &names {
            self.column_type(cursor, name, clause)?;
        }
        Ok(names.into_iter().map(|name| name.value).collect())
    }

    /// `(column)`, with its type, where that is known, and where it stands.
    fn one(&mut self, cursor: &mut Cursor, clause: &str) -> Result<(String, Option<ColumnType>, Location), SqlError> {
        cursor.expect(&Token::LParen)?;
        let name = cursor.name("the name of a column")?;
        cursor.expect(&Token::RParen)?;
        let column_type = self.column_type(cursor, &name, clause)?;
        Ok((name.value, column_type, name.span.start))
    }

    fn column_type(&mut self, cursor: &Cursor, name: &Name, clause: &str) -> Result<Option<ColumnType>, SqlError> {
        if self.is_open {
            return Ok(None);
        }
        let columns = self.columns.as_deref().unwrap_or_default();
        if let Some(column) = columns.iter().find(|column| column.name == name.value) {
            return Ok(Some(column.column_type));
        }
        let hint = match columns.is_empty() {
            true => "declare the stream's columns first: CREATE STREAM name (column TYPE, …)".to_owned(),
            false => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                format!("the columns are {}", names.join(", "))
            }
        };
        let message = format!("{clause} names '{}', which is no column of the stream", name.value);
        let error = cursor
            .error_at(name.span.start, SqlState::UNKNOWN_COLUMN, message)
            .hint(hint);
        match self.columns {
            Some(_) => Err(error),
            None => {
                self.undeclared.get_or_insert(error);
                Ok(None)
            }
        }
    }
}

fn time(cursor: &mut Cursor, declared: &mut Declared) -> Result<String, SqlError> {
    let (name, column_type, at) = declared.one(cursor, "TIME")?;
    match column_type {
        None | Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz) => Ok(name),
        Some(other) => Err(cursor
            .error_at(
                at,
                SqlState::INVALID_DEFINITION,
                format!("TIME names '{name}', which is {other}"),
            )
            .hint("business time is a DATE, TIMESTAMP or TIMESTAMPTZ")),
    }
}

/// Reads `(name = value, …)`; the delimiter is handed back, as it may stand before the format that it belongs to.
fn options(
    cursor: &mut Cursor,
    definition: &mut StreamDefinition,
    settings: &mut StreamSettings,
) -> Result<Option<char>, SqlError> {
    let mut seen: Vec<String> = Vec::new();
    let mut delimiter = None;
    cursor.bracketed(|cursor| {
        let at = cursor.location();
        let option = cursor.name("the name of an option")?.value;
        if seen.contains(&option) {
            return Err(cursor.error_at(at, SqlState::SYNTAX, format!("option '{option}' is there twice")));
        }
        seen.push(option.clone());
        match option.as_str() {
            "partitions" => {
                cursor.expect(&Token::Eq)?;
                definition.partitions = partitions(cursor)?;
            }
            "format" => {
                cursor.expect(&Token::Eq)?;
                definition.format = format::format(cursor)?;
            }
            "delimiter" => {
                cursor.expect(&Token::Eq)?;
                delimiter = Some(format::delimiter(cursor)?);
            }
            other if settings::set(cursor, other, settings)? => {}
            _ => {
                return Err(cursor
                    .error_at(at, SqlState::SYNTAX, format!("'{option}' is no option of a stream"))
                    .hint(format!(
                        "the options are partitions, format, delimiter, {}",
                        settings::names()
                    )));
            }
        }
        Ok(())
    })?;
    Ok(delimiter)
}

fn partitions(cursor: &mut Cursor) -> Result<u32, SqlError> {
    let start = cursor.clone();
    let number = whole_number(cursor)?;
    match u32::try_from(number)
        .ok()
        .filter(|number| (1..=PARTITIONS_MAX).contains(number))
    {
        Some(number) => Ok(number),
        None => Err(start.error(
            SqlState::INVALID_DEFINITION,
            format!("a stream has from 1 to {PARTITIONS_MAX} partitions, not {number}"),
        )),
    }
}

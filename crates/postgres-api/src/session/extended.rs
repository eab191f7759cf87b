//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use headwater_sql::parse::parse;
use headwater_sql::syntax::{CursorStep, Parsed, Statement};
use headwater_sql::{Described, ScalarValue, SessionZone, SqlError, SqlState};
use tokio::io::AsyncWrite;

use super::again::Asked;
use super::run::{self, Answer, RowStream};
use super::simple::tag;
use super::{Failure, Session};
use crate::report::{LIMIT, OTHER_COLUMNS, PROTOCOL, STATEMENT_EXISTS, UNKNOWN_PORTAL, UNKNOWN_STATEMENT};
use crate::values::{self, Column, PgType, TEXT, WireType, oid_of, scalar};
use crate::wire::output::ColumnDescription;
use crate::wire::{Message, Output, Target};

/// A prepared statement.
pub(super) struct Prepared {
    text: Arc<str>,
    /// `None`: the text holds no statement.
    parsed: Option<Parsed>,
    parameters: Vec<Parameter>,
    pub(super) columns: Option<SchemaRef>,
    /// The same as the client is told them.
    described: Vec<ColumnDescription>,
    pub(super) asked: Asked,
}

impl Prepared {
    /// A question that is running, with the columns of its answer.
    pub(super) fn running(parsed: &Parsed, columns: &SchemaRef) -> Prepared {
        Prepared {
            text: parsed.text.as_str().into(),
            parsed: Some(parsed.clone()),
            parameters: Vec::new(),
            described: values::describe(columns),
            columns: Some(Arc::clone(columns)),
            asked: Asked::default(),
        }
    }

    pub(super) fn described(&self) -> &[ColumnDescription] {
        &self.described
    }

    pub(super) fn parsed(&self) -> Option<&Parsed> {
        self.parsed.as_ref()
    }

    /// The types of its parameters' values.
    pub(super) fn types(&self) -> Vec<DataType> {
        let parameters = self.parameters.iter();
        parameters
            .map(|parameter| values::type_of(parameter.wire_type))
            .collect()
    }
}

/// What is known of `$1`, `$2`, …
struct Parameter {
    wire_type: WireType,
    oid: u32,
    data_type: Option<DataType>,
}

/// A prepared statement with its parameters bound, and how far it has run.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) parameters: Vec<ScalarValue>,
    pub(super) formats: Arc<[i16]>,
    pub(super) run: Run,
    /// Whether it outlives the transaction block that it was made in.
    pub(super) is_held: bool,
}

pub(super) enum Run {
    /// Not begun.
    Bound,
    /// Some rows were sent.
    Suspended(Box<Cursor>),
    /// Everything was sent.
    Ended,
}

/// Rows being sent, and the batch they are taken from.
pub(super) struct Cursor {
    pub rows: RowStream,
    pub(super) formats: Arc<[i16]>,
    batch: Vec<Column>,
    batch_rows: usize,
    at: usize,
}

impl Cursor {
    pub(super) fn new(rows: RowStream, formats: Arc<[i16]>) -> Cursor {
        Cursor {
            rows,
            formats,
            batch: Vec::new(),
            batch_rows: 0,
            at: 0,
        }
    }

    /// Begins the next batch.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        self.batch = columns_of(batch, self.rows.zone.as_ref())?;
        self.batch_rows = batch.num_rows();
        self.at = 0;
        Ok(())
    }

    pub(super) fn has_row(&self) -> bool {
        self.at < self.batch_rows
    }

    /// Writes the next row of the batch; `false` where it has none.
    pub(super) fn put_row<W: AsyncWrite + Unpin>(&mut self, output: &mut Output<W>) -> bool {
        if !self.has_row() {
            return false;
        }
        put_row(&self.batch, self.at, &self.formats, output);
        self.at += 1;
        true
    }
}

/// The columns of a batch as they are sent, moments in a zone.
pub(super) fn columns_of(batch: &RecordBatch, zone: Option<&SessionZone>) -> Result<Vec<Column>, SqlError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| Column::new(field, array, zone));
    let columns: Result<Vec<Column>, ArrowError> = columns.collect();
    columns.map_err(|error| {
        SqlError::new(
            SqlState::NOT_SUPPORTED,
            format!("a column cannot be sent to a PostgreSQL client: {error}"),
        )
        .hint("cast it to TEXT")
    })
}

/// Writes one row.
pub(super) fn put_row<W: AsyncWrite + Unpin>(columns: &[Column], row: usize, formats: &[i16], output: &mut Output<W>) {
    output.data_row(columns.len(), |index, buffer| {
        let format = formats.get(index).copied().unwrap_or(TEXT);
        columns.get(index).is_some_and(|column| column.put(row, format, buffer))
    });
}

impl Session {
    /// Answers one message of the extended protocol.
    pub(super) async fn extended(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Parse { name, text, types } => self.parse(name, text, &types).await,
            Message::Bind {
                portal,
                statement,
                formats,
                values,
                result_formats,
            } => self.bind(portal, &statement, &formats, &values, &result_formats),
            Message::Describe {
                target: Target::Statement,
                name,
            } => self.describe_statement(&name),
            Message::Describe {
                target: Target::Portal,
                name,
            } => self.describe_portal(&name),
            Message::Execute { portal, rows_max } => self.execute_portal(&portal, rows_max).await,
            Message::Close { target, name } => {
                match target {
                    Target::Statement => drop(self.prepared.remove(&name)),
                    Target::Portal => drop(self.portals.remove(&name)),
                }
                self.output.close_complete();
                Ok(())
            }
            _ => Ok(self.output.flush().await?),
        }
    }

    async fn parse(&mut self, name: String, text: String, types: &[u32]) -> Result<(), Failure> {
        let text: Arc<str> = text.into();
        let placed = |error: SqlError| Failure::Statement(Box::new(error), Arc::clone(&text));
        if !name.is_empty() && self.prepared.contains_key(&name) {
            let error = SqlError::new(
                STATEMENT_EXISTS,
                format!("a prepared statement '{name}' exists already"),
            );
            return Err(placed(error));
        }
        if self.prepared.len() >= self.options.prepared_max && !name.is_empty() {
            return Err(placed(too_many("prepared statements", self.options.prepared_max)));
        }
        let mut statements = parse(&text, "").map_err(placed)?;
        if statements.len() > 1 {
            let error = SqlError::new(
                SqlState::SYNTAX,
                "a prepared statement holds one statement, this text holds several",
            )
            .hint("send them one by one");
            return Err(placed(error));
        }
        let parsed = statements.pop();
        let described = match &parsed {
            Some(parsed) => self.described(parsed, types).await.map_err(placed)?,
            None => NOTHING,
        };
        let parameters = parameters(&described.parameters, types).map_err(placed)?;
        let prepared = Prepared {
            text: Arc::clone(&text),
            parsed,
            parameters,
            described: described.columns.as_deref().map_or_else(Vec::new, values::describe),
            columns: described.columns,
            asked: Asked::default(),
        };
        self.prepared.insert(name, Arc::new(prepared));
        self.output.parse_complete();
        Ok(())
    }

    /// What a statement takes and gives.
    async fn described(&mut self, parsed: &Parsed, types: &[u32]) -> Result<Described, SqlError> {
        let asked = match &parsed.statement {
            // Its rows come when they are fetched.
            Statement::Cursor(CursorStep::Declare { query, .. }) => query,
            Statement::Cursor(CursorStep::Fetch { name, .. }) => {
                let portal = self.portals.get(name).ok_or_else(|| unknown_cursor(name))?;
                return Ok(Described {
                    columns: portal.prepared.columns.clone(),
                    ..NOTHING
                });
            }
            statement if describable(statement) => parsed,
            _ => return Ok(NOTHING),
        };
        self.transaction.admit(false)?;
        let declared = types.iter().map(|oid| values::declared_type(*oid)).collect();
        let (questions, asker) = (&self.options.questions, self.asker());
        let described = run::describe(questions, &self.engine, asker, asked.clone(), declared).await?;
        Ok(match &parsed.statement {
            Statement::Cursor(_) => Described {
                columns: None,
                ..described
            },
            _ => described,
        })
    }

    fn bind(
        &mut self,
        portal: String,
        statement: &str,
        formats: &[i16],
        values: &[Option<Bytes>],
        result_formats: &[i16],
    ) -> Result<(), Failure> {
        let prepared = self.statement(statement)?;
        if self.portals.len() >= self.options.prepared_max && !portal.is_empty() {
            return Err(too_many("portals", self.options.prepared_max).into());
        }
        if values.len() != prepared.parameters.len() {
            let (given, taken) = (values.len(), prepared.parameters.len());
            let text = format!("{given} parameter(s) were bound, but the statement takes {taken}");
            return Err(SqlError::new(PROTOCOL, text).into());
        }
        let value_formats = spread(formats, values.len(), "parameters")?;
        let columns = prepared.columns.as_ref().map_or(0, |schema| schema.fields().len());
        let formats = spread(result_formats, columns, "columns")?;
        let mut parameters: Vec<ScalarValue> = Vec::with_capacity(values.len());
        let described = prepared.parameters.iter().zip(values).zip(value_formats);
        for (index, ((parameter, value), format)) in described.enumerate() {
            let value = scalar(
                parameter.wire_type,
                parameter.data_type.as_ref(),
                format,
                value.as_deref(),
                self.settings.zone.as_ref(),
            );
            parameters.push(value.map_err(|error| {
                SqlError::new(
                    SqlState(error.state),
                    format!("the value of ${} was not taken: {}", index + 1, error.why),
                )
            })?);
        }
        let run = Run::Bound;
        self.portals.insert(
            portal,
            Portal {
                prepared,
                parameters,
                formats: formats.into(),
                run,
                is_held: false,
            },
        );
        self.output.bind_complete();
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Result<(), Failure> {
        let prepared = self.statement(name)?;
        let types: Vec<u32> = prepared.parameters.iter().map(|parameter| parameter.oid).collect();
        self.output.parameter_description(&types);
        match &prepared.columns {
            Some(_) => self.output.row_description(&prepared.described, |_| TEXT),
            None => self.output.no_data(),
        }
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Failure> {
        let portal = self.portals.get(name).ok_or_else(|| unknown_portal(name))?;
        match &portal.prepared.columns {
            Some(_) => {
                let formats = &portal.formats;
                let format = |index: usize| formats.get(index).copied().unwrap_or(TEXT);
                self.output.row_description(&portal.prepared.described, format);
            }
            None => self.output.no_data(),
        }
        Ok(())
    }

    async fn execute_portal(&mut self, name: &str, rows_max: u32) -> Result<(), Failure> {
        // Taken out while it runs: a portal that fails is gone.
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_portal(name))?;
        let prepared = Arc::clone(&portal.prepared);
        let Some(parsed) = &prepared.parsed else {
            self.output.empty_query();
            self.portals.insert(name.to_owned(), portal);
            return Ok(());
        };
        let rows_max = if rows_max == 0 { u64::MAX } else { u64::from(rows_max) };
        let ran = self.run_portal(parsed, &mut portal, rows_max).await;
        ran.map_err(|failure| match failure {
            Failure::Statement(error, _) => Failure::Statement(error, Arc::clone(&prepared.text)),
            connection => connection,
        })?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    async fn run_portal(&mut self, parsed: &Parsed, portal: &mut Portal, rows_max: u64) -> Result<(), Failure> {
        if let (Statement::Cursor(step), Run::Bound) = (&parsed.statement, &portal.run) {
            portal.run = Run::Ended;
            let formats = Arc::clone(&portal.formats);
            return self.cursor(step, portal.parameters.clone(), Some(formats)).await;
        }
        if let (Statement::Copy(copy), Run::Bound) = (&parsed.statement, &portal.run) {
            portal.run = Run::Ended;
            return self.copy(copy).await;
        }
        if matches!(portal.run, Run::Bound) && self.looked_up(parsed, portal).await? {
            portal.run = Run::Ended;
            return Ok(());
        }
        let mut cursor = match std::mem::replace(&mut portal.run, Run::Ended) {
            Run::Bound => match self.execute(parsed, portal.parameters.clone()).await? {
                Answer::Done { tag, .. } => {
                    self.output.command_complete(&tag);
                    return Ok(());
                }
                Answer::Rows(rows) => {
                    same_types(portal.prepared.columns.as_ref(), &rows.schema)?;
                    Box::new(Cursor::new(rows, Arc::clone(&portal.formats)))
                }
            },
            Run::Suspended(cursor) => cursor,
            Run::Ended => {
                self.output.command_complete(&tag(&parsed.statement, 0));
                return Ok(());
            }
        };
        let sent = self.send(parsed, &mut cursor, rows_max).await?;
        match sent.ended {
            true => self.output.command_complete(&tag(&parsed.statement, sent.rows)),
            false => {
                self.output.portal_suspended();
                portal.run = Run::Suspended(cursor);
            }
        }
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<Arc<Prepared>, SqlError> {
        let unknown = || SqlError::new(UNKNOWN_STATEMENT, format!("there is no prepared statement '{name}'"));
        self.prepared.get(name).cloned().ok_or_else(unknown)
    }
}

/// What a statement takes and gives that takes and gives nothing.
const NOTHING: Described = Described {
    parameters: Vec::new(),
    columns: None,
};

/// Whether the engine is asked what a statement takes and gives; definitions take no parameters and give no rows.
fn describable(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Insert(_)
            | Statement::Explain { .. }
            | Statement::ExplainCall { .. }
            | Statement::Call { .. }
            | Statement::Subscribe(_)
            | Statement::Cancel { .. }
            | Statement::Show(_)
            | Statement::Describe(_)
    )
}

/// The types of the parameters: what the client declared, else what the statement says, else text.
fn parameters(described: &[Option<DataType>], declared: &[u32]) -> Result<Vec<Parameter>, SqlError> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for index in 0..described.len().max(declared.len()) {
        let data_type = described.get(index).cloned().flatten();
        let oid = declared.get(index).copied().unwrap_or(0);
        let (wire_type, oid) = match (oid, &data_type) {
            (0 | 705, Some(data_type)) => (WireType::of(data_type), oid_of(data_type)),
            (0 | 705, None) => (WireType::One(PgType::Text), PgType::Text.wire().0),
            (oid, _) => {
                let unknown = || {
                    SqlError::new(
                        SqlState::NOT_SUPPORTED,
                        format!("the type {oid} of ${} is not taken", index + 1),
                    )
                    .hint("send the value as text, or cast it in the statement")
                };
                (WireType::declared(oid).ok_or_else(unknown)?, oid)
            }
        };
        parameters.push(Parameter {
            wire_type,
            oid,
            data_type,
        });
    }
    Ok(parameters)
}

/// The format of each of `count` values: none given means text, one given holds for all.
fn spread(formats: &[i16], count: usize, what: &str) -> Result<Vec<i16>, SqlError> {
    if let Some(other) = formats.iter().find(|format| !(0..=1).contains(*format)) {
        return Err(SqlError::new(
            PROTOCOL,
            format!("there is no format {other}: 0 is text, 1 is binary"),
        ));
    }
    match formats {
        [] => Ok(vec![TEXT; count]),
        [format] => Ok(vec![*format; count]),
        formats if formats.len() == count => Ok(formats.to_vec()),
        formats => Err(SqlError::new(
            PROTOCOL,
            format!("{} formats were given for {count} {what}", formats.len()),
        )),
    }
}

/// The columns that were described must be those that come.
pub(super) fn same_types(described: Option<&SchemaRef>, schema: &SchemaRef) -> Result<(), SqlError> {
    let types =
        |schema: &SchemaRef| -> Vec<u32> { schema.fields().iter().map(|field| oid_of(field.data_type())).collect() };
    match described.map(types) == Some(types(schema)) {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::NOT_SUPPORTED, OTHER_COLUMNS)
            .detail("What the statement reads was defined anew: its columns are not those that it was described with.")
            .hint("prepare the statement again")),
    }
}

pub(super) fn unknown_cursor(name: &str) -> SqlError {
    SqlError::new(UNKNOWN_PORTAL, format!("there is no cursor '{name}'"))
        .hint("DECLARE name CURSOR FOR query opens one, until the transaction block ends")
}

fn unknown_portal(name: &str) -> SqlError {
    SqlError::new(UNKNOWN_PORTAL, format!("there is no portal '{name}'"))
}

pub(super) fn too_many(what: &str, max: usize) -> SqlError {
    SqlError::new(
        LIMIT,
        format!("this connection holds {max} {what}, and more are not taken"),
    )
    .hint("close those that are not needed")
}

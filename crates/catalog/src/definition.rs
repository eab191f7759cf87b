//! What can be defined: streams, views, commands, recurring schedules, property graphs.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use headwater_eventlog::Entities;
use serde::{Deserialize, Serialize};

use crate::{EarlierSchema, GraphDefinition, Shape, ViewSettings};

/// One definition, as it stands in `_headwater.catalog`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "noun", rename_all = "lowercase")]
pub enum Definition {
    /// A stream.
    Stream(StreamDefinition),
    /// A view, materialized or plain.
    View(ViewDefinition),
    /// A command.
    Command(CommandDefinition),
    /// A recurring schedule.
    Schedule(ScheduleDefinition),
    /// A property graph.
    Graph(GraphDefinition),
}

/// A stream: its partitions and, where it has columns, its schema. How it is kept are settings of the log, not part of its definition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamDefinition {
    /// The name; a Kafka client sees it as the topic of that name.
    pub name: String,
    /// The columns in order; `None`: schema-free, one `value` of JSON.
    pub columns: Option<Vec<Column>>,
    /// The schemas it had before this one, oldest first: version 1, version 2, … They are folded from what altered the stream, and never written.
    #[serde(skip)]
    pub earlier: Vec<Arc<EarlierSchema>>,
    /// Grows when events that are there come to be read as other rows: what was folded from them is folded again.
    pub reading: u32,
    /// The columns of `KEY (…)`, which make the event's key.
    pub key: Vec<String>,
    /// The column of `TIME (…)`: business time.
    pub time: Option<String>,
    /// The column of `KIND (…)`: says what kind of event it is, for conditions and queries over events.
    pub kind: Option<String>,
    /// The columns of `TAGS (…)`: what else an event is about; each makes a tag `column:value`.
    pub tags: Vec<String>,
    /// The number of partitions. 0 only in what is yet to be defined: those that are there, or the default.
    pub partitions: u32,
    /// How values are written.
    pub format: Format,
    /// What makes its events, where that is a query.
    pub pipeline: Option<Pipeline>,
    /// The statement that defined it; empty where a Kafka client did.
    pub statement: String,
}

/// A continuous query whose results are a stream's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The text of its query.
    pub query: String,
    /// The stream that it reads, and the views that it joins.
    pub sources: Vec<String>,
    /// The statement that defined its stream, with the columns in the place of each `*`, as they were when it was made; `None` where it says no `*`.
    pub spelled_out: Option<String>,
    /// The position that it begins at, printed; `None`: the beginning.
    pub begins: Option<String>,
}

/// One column of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type.
    pub column_type: ColumnType,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// What an event without the field has, as JSON; `None`: NULL.
    pub default: Option<String>,
    /// The version of the schema that it came with. Events from before never promised that a field of its name would fit.
    pub since: u32,
    /// The names it had before, oldest first.
    pub former: Vec<FormerName>,
}

/// A name that a column had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerName {
    /// The name.
    pub name: String,
    /// The last version of the schema in which it was the column's name.
    pub until: u32,
}

/// The type of a column, printed as SQL writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnType {
    /// `BOOLEAN`
    Boolean,
    /// `INTEGER`, 32 bits
    Integer,
    /// `BIGINT`, 64 bits
    BigInt,
    /// `REAL`, 32 bits
    Real,
    /// `DOUBLE PRECISION`, 64 bits
    Double,
    /// `DECIMAL(precision, scale)`
    Decimal(u8, i8),
    /// `TEXT`
    Text,
    /// `BYTEA`, base64 in JSON
    Bytes,
    /// `DATE`
    Date,
    /// `TIMESTAMP`, microseconds, without time zone
    Timestamp,
    /// `TIMESTAMPTZ`, microseconds, UTC
    TimestampTz,
    /// `JSON`: kept as text
    Json,
}

/// How the values of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a value.
    #[default]
    Json,
    /// One record of RFC 4180 a value, its fields in the order of the columns.
    Csv {
        /// What stands between two fields.
        delimiter: char,
    },
    /// Avro, behind the id of its schema in the registry.
    Avro,
    /// A Protobuf message, behind the id of its schema in the registry and its place there.
    Protobuf,
    /// The value is the one column, a TEXT.
    Text,
    /// The value is the one column, a BYTEA.
    Bytes,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Json => "json",
            Format::Csv { .. } => "csv",
            Format::Avro => "avro",
            Format::Protobuf => "protobuf",
            Format::Text => "text",
            Format::Bytes => "bytes",
        })
    }
}

/// A view: a query over streams, kept up to date (materialized) or computed when asked (plain).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// The name.
    pub name: String,
    /// The shape it is stored in; `None`: a plain view.
    pub shape: Option<Shape>,
    /// The text of its query.
    pub query: String,
    /// The columns of `KEY (…)`, where it was given: then the newest row wins.
    pub key: Vec<String>,
    /// How it is kept, by the names of `WITH (…)`.
    pub settings: ViewSettings,
    /// The streams and views its query reads.
    pub sources: Vec<String>,
    /// The statement with the columns in the place of each `*`, as they were when it was made; `None` where it says no `*`.
    pub spelled_out: Option<String>,
    /// The statement that defined it.
    pub statement: String,
    /// Counts, from 1, how often its rows came to be others, or were to be made anew.
    pub version: u32,
    /// The version before this one, which is asked until this one is built.
    pub before: Option<Box<ViewDefinition>>,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandDefinition {
    /// The name.
    pub name: String,
    /// The streams it appends to and the streams and views it reads.
    pub sources: Vec<String>,
    /// The statement with the columns in the place of each `*`, as they were when it was made; `None` where it says no `*`.
    pub spelled_out: Option<String>,
    /// The statement that defined it; parsed again by who runs it.
    pub statement: String,
}

/// A recurring schedule: a command that the clock calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleDefinition {
    /// The name.
    pub name: String,
    /// When a schedule of this name was created, microseconds since 1970: one that replaces it goes on where it has come to.
    pub created_us: i64,
    /// The first of its ticks, or the moment from which on they come: what the others are counted from.
    pub first_us: i64,
    /// No tick before this moment is made: the first, or when it came to have another rule than the definition that it replaced.
    pub from_us: i64,
    /// The streams it appends to and the streams and views it reads.
    pub sources: Vec<String>,
    /// The statement with the columns in the place of each `*`, as they were when it was made; `None` where it says no `*`.
    pub spelled_out: Option<String>,
    /// The statement that defined it.
    pub statement: String,
}

/// The partitions of a stream whose definition leaves them open (0) and which nobody has made before.
pub const PARTITIONS_DEFAULT: u32 = 1;

impl ViewDefinition {
    /// Its statement, each `*` in it being the columns that were there when it was made.
    pub fn meaning(&self) -> &str {
        self.spelled_out.as_deref().unwrap_or(&self.statement)
    }
}

impl CommandDefinition {
    /// Its statement, each `*` in it being the columns that were there when it was made.
    pub fn meaning(&self) -> &str {
        self.spelled_out.as_deref().unwrap_or(&self.statement)
    }
}

impl ScheduleDefinition {
    /// Its statement, each `*` in it being the columns that were there when it was made.
    pub fn meaning(&self) -> &str {
        self.spelled_out.as_deref().unwrap_or(&self.statement)
    }

    /// Up to where its ticks are made or none of its, where this one was made last.
    pub fn made_us(&self, last_us: Option<i64>) -> i64 {
        let before_us = self.from_us.saturating_sub(1);
        last_us.map_or(before_us, |last_us| last_us.max(before_us))
    }
}

impl Definition {
    /// The name it is known by.
    pub fn name(&self) -> &str {
        match self {
            Definition::Stream(stream) => &stream.name,
            Definition::View(view) => &view.name,
            Definition::Command(command) => &command.name,
            Definition::Schedule(schedule) => &schedule.name,
            Definition::Graph(graph) => &graph.name,
        }
    }

    /// What it is, for messages: `stream`, `view`, `command`, `schedule` or `property graph`.
    pub fn noun(&self) -> &'static str {
        match self {
            Definition::Stream(_) => "stream",
            Definition::View(_) => "view",
            Definition::Command(_) => "command",
            Definition::Schedule(_) => "schedule",
            Definition::Graph(_) => "property graph",
        }
    }

    /// The statement that defined it.
    pub fn statement(&self) -> &str {
        match self {
            Definition::Stream(stream) => &stream.statement,
            Definition::View(view) => &view.statement,
            Definition::Command(command) => &command.statement,
            Definition::Schedule(schedule) => &schedule.statement,
            Definition::Graph(graph) => &graph.statement,
        }
    }

    /// What it means: its statement, each `*` in it being the columns that were there when it was made.
    pub fn meaning(&self) -> &str {
        match self {
            Definition::Stream(stream) => stream.meaning(),
            Definition::View(view) => view.meaning(),
            Definition::Command(command) => command.meaning(),
            Definition::Schedule(schedule) => schedule.meaning(),
            Definition::Graph(graph) => &graph.statement,
        }
    }

    /// The names it depends on.
    pub fn sources(&self) -> &[String] {
        match self {
            Definition::Stream(stream) => stream.pipeline.as_ref().map_or(&[], |pipeline| &pipeline.sources),
            Definition::View(view) => &view.sources,
            Definition::Command(command) => &command.sources,
            Definition::Schedule(schedule) => &schedule.sources,
            Definition::Graph(graph) => &graph.sources,
        }
    }
}

impl StreamDefinition {
    /// Whether its columns say what its events are about: KEY, KIND or TAGS.
    pub fn is_about_something(&self) -> bool {
        !self.key.is_empty() || self.kind.is_some() || !self.tags.is_empty()
    }

    /// Whether its events are found without a scan where nothing is said of that: those that are about something are.
    pub fn entities_default(&self) -> Option<Entities> {
        self.is_about_something().then_some(Entities::Indexed)
    }

    /// A stream of which only the name and the partitions are known.
    pub fn schema_free(name: &str, partitions: u32) -> StreamDefinition {
        StreamDefinition {
            name: name.to_owned(),
            partitions,
            ..StreamDefinition::default()
        }
    }

    /// Its statement, each `*` in the query that makes it being the columns that were there when it was made.
    pub fn meaning(&self) -> &str {
        let pipeline = self.pipeline.as_ref();
        let spelled_out = pipeline.and_then(|pipeline| pipeline.spelled_out.as_deref());
        spelled_out.unwrap_or(&self.statement)
    }

    /// The Arrow fields of the declared columns; empty where it is schema-free.
    pub fn fields(&self) -> Vec<Field> {
        let columns = self.columns.as_deref().unwrap_or_default();
        columns
            .iter()
            .map(|column| Field::new(&column.name, column.column_type.data_type(), column.nullable))
            .collect()
    }

    /// One column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let mut columns = self.columns.iter().flatten();
        columns.find(|column| column.name == name)
    }
}

impl Column {
    /// A column of a stream's first schema, without a default.
    pub fn new(name: impl Into<String>, column_type: ColumnType, nullable: bool) -> Column {
        Column {
            name: name.into(),
            column_type,
            nullable,
            default: None,
            since: 1,
            former: Vec::new(),
        }
    }
}

impl ColumnType {
    /// Whether its values are moments or days.
    pub fn is_moment(self) -> bool {
        matches!(self, ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz)
    }

    /// The Arrow type its values have.
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Integer => DataType::Int32,
            ColumnType::BigInt => DataType::Int64,
            ColumnType::Real => DataType::Float32,
            ColumnType::Double => DataType::Float64,
            ColumnType::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            ColumnType::Text | ColumnType::Json => DataType::Utf8,
            ColumnType::Bytes => DataType::Binary,
            ColumnType::Date => DataType::Date32,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            // An offset, not a zone's name: it needs no time zone database to be understood.
            ColumnType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::Integer => "INTEGER",
            ColumnType::BigInt => "BIGINT",
            ColumnType::Real => "REAL",
            ColumnType::Double => "DOUBLE PRECISION",
            ColumnType::Decimal(precision, scale) => return write!(f, "DECIMAL({precision},{scale})"),
            ColumnType::Text => "TEXT",
            ColumnType::Bytes => "BYTEA",
            ColumnType::Date => "DATE",
            ColumnType::Timestamp => "TIMESTAMP",
            ColumnType::TimestampTz => "TIMESTAMPTZ",
            ColumnType::Json => "JSON",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.column_type)?;
        if !self.nullable {
            f.write_str(" NOT NULL")?;
        }
        match &self.default {
            Some(json) => write!(f, " DEFAULT {}", as_sql(json)),
            None => Ok(()),
        }
    }
}

/// A JSON value as SQL writes it.
fn as_sql(json: &str) -> String {
    match serde_json::from_str::<String>(json) {
        Ok(text) => format!("'{}'", text.replace('\'', "''")),
        Err(_) => json.to_owned(),
    }
}

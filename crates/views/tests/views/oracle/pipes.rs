//! The pipelines of the oracle, and the views over what they make: what is in them follows from the streams that writers write to.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use headwater_catalog::{Column, ColumnType, Pipeline, StreamDefinition};
use headwater_eventlog::Part;
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::StreamDecoder;
use headwater_views::{CHANGES_OF, PipelineSpec, ResultEncoder, ViewSpec, changes_schema};

use super::events::STREAMS;
use super::lab::Lab;
use super::queries::{Asked, Kind, VIEWS};

/// A pipeline over the stream `a`.
pub struct Pipe {
    pub name: &'static str,
    partitions: u32,
    /// Its first column is the key of its stream.
    is_keyed: bool,
    columns: &'static [(&'static str, ColumnType)],
    query: &'static str,
    /// The view whose changes it reads: its name and query, as one of [`VIEWS`] has it.
    changes_of: Option<(&'static str, &'static str)>,
}

pub const PIPES: [Pipe; 3] = [
    Pipe {
        name: "p",
        partitions: 2,
        is_keyed: false,
        columns: &[
            ("id", ColumnType::BigInt),
            ("name", ColumnType::Text),
            ("share", ColumnType::BigInt),
        ],
        query: "SELECT id, name, 100 / n AS share FROM a WHERE n IS NOT NULL AND id <> 3",
        changes_of: None,
    },
    Pipe {
        name: "c",
        partitions: 2,
        is_keyed: true,
        columns: &[
            ("id", ColumnType::BigInt),
            ("name", ColumnType::Text),
            ("n", ColumnType::BigInt),
        ],
        query: "SELECT id, name, n FROM \"changes of latest\"",
        changes_of: Some(("latest", "SELECT id, name, n FROM a")),
    },
    Pipe {
        name: "s",
        partitions: 1,
        is_keyed: true,
        columns: &[
            ("id", ColumnType::BigInt),
            ("balance", ColumnType::Decimal(38, 2)),
            ("entries", ColumnType::BigInt),
        ],
        query: "SELECT id, balance, entries FROM \"changes of sums\"",
        changes_of: Some((
            "sums",
            "SELECT id, sum(CASE WHEN ok THEN amount ELSE -amount END) AS balance, count(*) AS entries, max(_timestamp) AS at FROM a GROUP BY id",
        )),
    },
];

const fn over(key: &'static [&'static str], query: &'static str, batch: &'static str) -> Asked {
    Asked {
        kinds: &[Kind::Document, Kind::Memory],
        key,
        query,
        batch,
        finds: &[],
    }
}

/// The views over their streams.
pub const OVER_PIPES: [Asked; 6] = [
    over(
        &[],
        "SELECT id, count(*) AS results, sum(share) AS total, max(name) FROM p GROUP BY id",
        "SELECT id, count(*) AS results, sum(100 / n) AS total, max(name) FROM a WHERE n <> 0 AND id <> 3 GROUP BY id",
    ),
    over(
        &[],
        "SELECT count(*) AS results, count(name), min(share) FROM p",
        "SELECT count(*) AS results, count(name), min(100 / n) FROM a WHERE n <> 0 AND id <> 3",
    ),
    // What all changes come to is the view.
    over(
        &["id"],
        "SELECT id, name, n FROM c",
        "SELECT id, name, n FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY _appended_at DESC, _partition DESC, _offset DESC) AS place FROM (\
         SELECT id, name, n, false AS gone, _appended_at, _partition, _offset FROM a \
         UNION ALL SELECT id, NULL, NULL, true, _appended_at, _partition, _offset FROM tombstones_a)) WHERE place = 1 AND NOT gone",
    ),
    over(
        &["id"],
        "SELECT id, balance, entries FROM s",
        "SELECT id, sum(CASE WHEN ok THEN amount ELSE -amount END) AS balance, count(*) AS entries FROM a GROUP BY id",
    ),
    // Each event changes its row once, and is told once.
    over(
        &[],
        "SELECT id, count(*) AS changes, max(entries) FROM s GROUP BY id",
        "SELECT id, count(*) AS changes, count(*) AS most FROM a GROUP BY id",
    ),
    over(&[], "SELECT count(*) AS changes FROM s", "SELECT count(*) FROM a"),
];

impl Pipe {
    /// What the catalog says of its stream.
    pub fn definition(&self) -> StreamDefinition {
        let column = |(name, column_type): &(&str, ColumnType)| Column::new(*name, *column_type, true);
        StreamDefinition {
            name: self.name.to_owned(),
            columns: Some(self.columns.iter().map(column).collect()),
            key: self
                .columns
                .iter()
                .take(usize::from(self.is_keyed))
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            partitions: self.partitions,
            statement: format!("CREATE STREAM {} AS {}", self.name, self.query),
            pipeline: Some(Pipeline {
                query: self.query.to_owned(),
                sources: vec![self.changes_of.map_or("a", |(view, _)| view).to_owned()],
                spelled_out: None,
                begins: None,
            }),
            ..StreamDefinition::default()
        }
    }

    /// The view whose changes it reads.
    pub fn view(&self, lab: &Lab) -> Option<ViewSpec> {
        let (name, query) = self.changes_of?;
        let asked = VIEWS.iter().find(|asked| asked.query == query);
        Some(lab.view(name, asked.expect("a view of this query"), Kind::Document))
    }

    /// What it takes to run it.
    pub fn spec(&self, lab: &Lab) -> PipelineSpec {
        let source = STREAMS[0].definition();
        let decoder = StreamDecoder::new(&source);
        let changes = self.view(lab);
        let planned = match &changes {
            Some(view) => {
                let schema = changes_schema(view.plan.schema().as_arrow(), &decoder.schema());
                let name = format!("{CHANGES_OF}{}", view.definition.name);
                lab.piped(self.query, &name, schema)
            }
            None => lab.piped(self.query, "a", decoder.schema()),
        };
        PipelineSpec {
            records_parked: true,
            stream: self.definition(),
            decoders: vec![decoder],
            plan: planned.plan,
            changes,
            session: planned.session,
            encoder: Arc::new(Objects {
                stream: self.name,
                partitions: self.partitions,
                is_keyed: self.is_keyed,
            }),
        }
    }
}

/// Makes a JSON object of each row.
struct Objects {
    stream: &'static str,
    partitions: u32,
    is_keyed: bool,
}

impl ResultEncoder for Objects {
    fn events(&self, rows: &RecordBatch) -> Result<Vec<Event>, String> {
        let event = |row: usize| {
            let schema = rows.schema();
            let fields: Vec<String> = schema
                .fields()
                .iter()
                .zip(rows.columns())
                .map(|(field, column)| format!("\"{}\":{}", field.name(), json(column, row)))
                .collect();
            let key = rows.column(0);
            Event {
                key: (self.is_keyed && key.is_valid(row))
                    .then(|| array_value_to_string(key, row).expect("it prints").into()),
                value: Some(format!("{{{}}}", fields.join(",")).into()),
                ..Event::default()
            }
        };
        Ok((0..rows.num_rows()).map(event).collect())
    }

    fn parts(&self, events: Vec<Event>, spread: u32) -> Vec<Part> {
        let mut of_partition: Vec<Vec<Event>> = vec![Vec::new(); self.partitions as usize];
        for event in events {
            let by_key = event
                .key
                .as_ref()
                .map(|key| key.iter().map(|byte| u32::from(*byte)).sum());
            let partition = by_key.unwrap_or(spread) % self.partitions;
            of_partition[partition as usize].push(event);
        }
        let parts = (0..).zip(of_partition).filter(|(_, events)| !events.is_empty());
        parts
            .map(|(partition, events)| Part {
                stream: self.stream.to_owned(),
                partition,
                batch: Batch::encode(&events, Compression::None, None),
            })
            .collect()
    }
}

fn json(column: &dyn Array, row: usize) -> String {
    match column.data_type() {
        _ if column.is_null(row) => "null".to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        _ => serde_json::Value::from(array_value_to_string(column, row).expect("it prints")).to_string(),
    }
}

//! Pipelines that are stopped without warning, again and again: what they appended is what their query gives in batch, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use headwater_catalog::{ColumnType, CreateMode, Definition, PARKED_STREAM, Pipeline, StreamDefinition};
use headwater_eventlog::{EventLog, Part};
use headwater_records::{Batch, Compression, Event};
use headwater_views::decode::StreamDecoder;
use headwater_views::{PipelineSpec, ResultEncoder, Views};

use crate::ground::{EAGER, Ground, WAIT};

const COLUMNS: [(&str, ColumnType, bool); 2] = [("k", ColumnType::Text, false), ("n", ColumnType::BigInt, true)];
const PARTITIONS: u32 = 3;

/// Makes an event of a row: its values, with `|` between them.
struct Lines(&'static str);

impl ResultEncoder for Lines {
    fn events(&self, rows: &RecordBatch) -> Result<Vec<Event>, String> {
        let line = |row: usize| {
            let cells = rows
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row).expect("it prints"));
            let line = cells.collect::<Vec<String>>().join("|");
            Event {
                value: Some(line.into()),
                ..Event::default()
            }
        };
        Ok((0..rows.num_rows()).map(line).collect())
    }

    fn parts(&self, events: Vec<Event>, spread: u32) -> Vec<Part> {
        vec![Part {
            stream: self.0.to_owned(),
            partition: spread % PARTITIONS,
            batch: Batch::encode(&events, Compression::None, None),
        }]
    }
}

/// Defines the stream that a pipeline's results go to.
fn define(ground: &Ground, name: &str, query: &str) -> StreamDefinition {
    let stream = StreamDefinition {
        name: name.to_owned(),
        partitions: PARTITIONS,
        statement: format!("CREATE STREAM {name} AS {query}"),
        pipeline: Some(Pipeline {
            query: query.to_owned(),
            sources: vec!["s".to_owned()],
            spelled_out: None,
            begins: None,
        }),
        ..StreamDefinition::default()
    };
    let defined = ground
        .catalog
        .define(Definition::Stream(stream.clone()), CreateMode::IfNotExists, "ann");
    ground.runtime.block_on(defined).expect("a stream");
    stream
}

fn spec(ground: &Ground, stream: &StreamDefinition, query: &str) -> PipelineSpec {
    let view = ground.spec(&stream.name, query);
    PipelineSpec {
        records_parked: true,
        stream: stream.clone(),
        decoders: view.decoders,
        changes: None,
        plan: view.plan,
        session: view.session,
        encoder: Arc::new(Lines("t")),
    }
}

/// Everything in a stream, partition by partition, with where each event came from.
fn lines(log: &EventLog, stream: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for partition in 0..log.stream(stream).expect("the stream").partitions {
        for stored in log.read(stream, partition, 0, usize::MAX).expect("a readable log") {
            for (_, event) in stored.batch.events().expect("a batch") {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let from = event.headers.iter().find(|header| header.name == "headwater-from");
                let from = from
                    .and_then(|header| header.value.as_deref())
                    .expect("where it came from");
                lines.push((text(from), text(event.value.as_deref().expect("a value"))));
            }
        }
    }
    lines
}

fn caught_up(ground: &Ground, views: &Views) -> bool {
    let statuses = views.pipelines();
    assert!(statuses.iter().all(|status| status.stopped.is_none()), "{statuses:?}");
    statuses.iter().all(|status| status.position.covers(&ground.end()))
}

fn catch_up(ground: &Ground, views: &Views) {
    let begun = Instant::now();
    while !caught_up(ground, views) {
        assert!(begun.elapsed() < WAIT, "{:?}", views.pipelines());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A repair of the log may give up the end of the stream of positions: what was made beyond the last one that is left is not made again.
#[test]
fn results_beyond_the_position_that_is_left_are_not_made_again() {
    const QUERY: &str = "SELECT k, n, n AS share FROM s WHERE n IS NOT NULL AND n > 0";
    let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
    let stream = define(&ground, "t", QUERY);
    let mut positions: Vec<Event> = Vec::new();
    for round in 0..4 {
        let views = ground.views(&EAGER);
        views.start_pipeline(spec(&ground, &stream, QUERY)).expect("it starts");
        for number in 1..6 {
            let value = format!(r#"{{"k":"k{number}","n":{}}}"#, round * 10 + number);
            ground.append(number as u32 % PARTITIONS, &[value.as_str()]);
        }
        catch_up(&ground, &views);
        views.close();
        let noted = ground
            .log
            .read("_headwater.pipelines", 0, 0, usize::MAX)
            .expect("positions");
        let last = noted.last().expect("a position").batch.events().expect("a record");
        positions.extend(last.into_iter().map(|(_, event)| event));
    }
    let made = lines(&ground.log, "t");
    assert_eq!(made.len(), 20);
    for older in positions.iter().take(3) {
        let part = headwater_eventlog::Part {
            stream: "_headwater.pipelines".to_owned(),
            partition: 0,
            batch: Batch::encode(std::slice::from_ref(older), Compression::None, None),
        };
        let append = headwater_eventlog::Append {
            parts: vec![part],
            principal: "_headwater".to_owned(),
            condition: None,
        };
        ground.log.append_blocking(append).expect("an older position");
        let views = ground.views(&EAGER);
        views.start_pipeline(spec(&ground, &stream, QUERY)).expect("it starts");
        catch_up(&ground, &views);
        assert_eq!(lines(&ground.log, "t"), made, "nothing is made twice");
        views.close();
    }
    let views = ground.views(&EAGER);
    views.start_pipeline(spec(&ground, &stream, QUERY)).expect("it starts");
    ground.append(0, &[r#"{"k":"k","n":99}"#]);
    catch_up(&ground, &views);
    views.close();
    assert_eq!(lines(&ground.log, "t").len(), 21, "what is new is made");
}

#[test]
fn stopped_at_any_point_nothing_is_made_twice_and_nothing_is_missing() {
    const QUERY: &str = "SELECT k, n, 100 / n AS share FROM s WHERE n IS NOT NULL AND n <> 7";
    const ROUNDS: u64 = 25;
    let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
    let stream = define(&ground, "t", QUERY);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % limit
    };
    let mut number = 0;
    for _ in 0..ROUNDS {
        let views = ground.views(&EAGER);
        views.start_pipeline(spec(&ground, &stream, QUERY)).expect("it starts");
        for _ in 0..below(6) {
            let count = 1 + below(40);
            let values: Vec<String> = (0..count)
                .map(|_| {
                    number += 1;
                    match number % 11 {
                        0 => format!(r#"{{"k":"{number}","n":0}}"#),
                        5 => format!(r#"{{"k":"{number}","n":"many"}}"#),
                        _ => format!(r#"{{"k":"{number}","n":{}}}"#, number % 13 + 1),
                    }
                })
                .collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            ground.append(below(u64::from(PARTITIONS)) as u32, &values);
            std::thread::sleep(Duration::from_micros(below(3_000)));
        }
        // Without a word: what waits to be appended is lost, and made again.
        drop(views);
    }
    let views = ground.views(&EAGER);
    views.start_pipeline(spec(&ground, &stream, QUERY)).expect("it starts");
    catch_up(&ground, &views);
    let status = views.pipelines().remove(0);
    views.close();

    let made = lines(&ground.log, "t");
    let mut expected: Vec<(String, String)> = Vec::new();
    let (mut parked, mut events) = (0, 0);
    let decoder: StreamDecoder = ground.decoder();
    for partition in 0..PARTITIONS {
        let batches = ground.log.read("s", partition, 0, usize::MAX).expect("a readable log");
        let decoded = decoder.decode(partition, &batches, 0, u64::MAX, None);
        parked += decoded.parked.len() as u64;
        events += (decoded.rows.num_rows() + decoded.parked.len()) as u64;
        for row in 0..decoded.rows.num_rows() {
            let cell = |name: &str| {
                let column = decoded.rows.column_by_name(name).expect("a column");
                array_value_to_string(column, row).expect("it prints")
            };
            let n: i64 = cell("n").parse().expect("a number");
            if n == 0 {
                parked += 1;
            } else if n != 7 {
                let from = format!("s/{partition}@{}", cell("_offset"));
                expected.push((from, format!("{}|{n}|{}", cell("k"), 100 / n)));
            }
        }
    }
    assert_eq!(made, expected, "in the order of the log, each once");
    assert_eq!(
        (status.events, status.results, status.parked),
        (events, expected.len() as u64, parked)
    );
    let recorded = ground
        .log
        .position(PARKED_STREAM)
        .expect("the stream")
        .get(PARKED_STREAM, 0);
    assert_eq!(recorded, parked, "each of them is recorded once");
}

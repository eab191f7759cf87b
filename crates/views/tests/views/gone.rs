//! Rows that were deleted leave nothing behind once nothing older can come, and an older event that comes late does not bring them back.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::prelude::SessionContext;
use headwater_catalog::{Column, ColumnType, CreateMode, Definition, Shape, StreamDefinition};
use headwater_eventlog::{Append, Part};
use headwater_records::{Batch, Compression, Event, Position};
use headwater_views::decode::StreamDecoder;
use headwater_views::{Selection, Tombstones, View, ViewOptions, ViewSpec, Views, as_folded};

use crate::ground::{EAGER, Ground, LAZY, WAIT, printed};

pub const STREAMS: [&str; 2] = ["one", "two"];
const QUERY: &str = "SELECT k, n FROM one UNION ALL SELECT k, n FROM two";

pub fn ground() -> Ground {
    let ground = Ground::new(None, 1);
    for name in STREAMS {
        let stream = StreamDefinition {
            name: name.to_owned(),
            columns: Some(vec![
                Column::new("k", ColumnType::Text, false),
                Column::new("n", ColumnType::BigInt, true),
            ]),
            key: vec!["k".to_owned()],
            partitions: 2,
            ..StreamDefinition::default()
        };
        let defining = ground
            .catalog
            .define(Definition::Stream(stream), CreateMode::Create, "ann");
        ground.runtime.block_on(defining).expect("a new stream");
    }
    ground.define("v");
    ground
}

fn decoder(ground: &Ground, stream: &str) -> StreamDecoder {
    StreamDecoder::new(&ground.catalog.stream(stream).expect("a stream"))
}

/// A view of both streams: the newest row of each key.
pub fn spec(ground: &Ground, shape: Shape) -> ViewSpec {
    let context = SessionContext::new();
    let register = |name: &str, decoder: &StreamDecoder| {
        let table = MemTable::try_new(decoder.schema(), vec![Vec::<RecordBatch>::new()]).expect("a table");
        context.register_table(name, Arc::new(table)).expect("a free name");
    };
    for stream in STREAMS {
        register(stream, &decoder(ground, stream));
        register(&format!("gone_{stream}"), &decoder(ground, stream).of_tombstones());
    }
    let state = context.state();
    let mut spec = ground.spec("v", "SELECT count(*) FROM s");
    spec.definition.shape = Some(shape);
    spec.definition.key = vec!["k".to_owned()];
    let plan = ground
        .runtime
        .block_on(state.create_logical_plan(QUERY))
        .expect("a plan");
    let tombstones = |stream: &str| {
        let table = ground
            .runtime
            .block_on(context.table_provider(format!("gone_{stream}").as_str()))?;
        Ok(Some(Tombstones {
            table: provider_as_source(table),
            are_rows: false,
        }))
    };
    let plan = as_folded(plan, &spec.definition, &state, &tombstones).expect("a plan that folds");
    let analyzed = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {});
    spec.plan = analyzed.expect("an analyzed plan");
    spec.decoders = STREAMS.iter().map(|stream| decoder(ground, stream)).collect();
    spec.session = state;
    spec
}

fn start(ground: &Ground, options: &ViewOptions, shape: Shape) -> (Views, Arc<View>) {
    let views = ground.views(options);
    let view = views.start(spec(ground, shape)).expect("it starts");
    (views, view)
}

/// Appends a row of each key, or a tombstone where there is no number.
pub fn append(ground: &Ground, stream: &str, partition: u32, keys: std::ops::Range<u32>, n: Option<i64>) {
    let event = |key: u32| Event {
        key: Some(Bytes::from(format!("k{key}"))),
        value: n.map(|n| Bytes::from(format!("{{\"k\":\"k{key}\",\"n\":{n}}}"))),
        ..Event::default()
    };
    let append = Append {
        parts: vec![Part {
            stream: stream.to_owned(),
            partition,
            batch: Batch::encode(&keys.map(event).collect::<Vec<Event>>(), Compression::None, None),
        }],
        principal: "ann".to_owned(),
        condition: None,
    };
    ground.log.append_blocking(append).expect("a durable append");
}

fn end(ground: &Ground, streams: &[&str]) -> Position {
    let mut end = Position::new();
    for stream in streams {
        end.advance_all(&ground.log.position(stream).expect("a stream"));
    }
    end
}

pub fn catch_up(ground: &Ground, view: &View, streams: &[&str]) {
    let end = end(ground, streams);
    let waiting = view.wait_for(&end, WAIT);
    ground.runtime.block_on(waiting).expect("it gets there");
}

/// The rows, and how many keys anything is kept of, once everything is committed.
fn kept(view: &Arc<View>) -> (Vec<String>, usize) {
    let reader = view.reader().expect("a reader");
    let rows = reader.read(&Selection::All).expect("rows");
    (printed(&rows.batches), reader.keys().count())
}

#[test]
fn deleted_rows_leave_nothing_behind() {
    for (shape, options) in [
        (Shape::Document, EAGER),
        (Shape::Document, LAZY),
        (Shape::Memory, EAGER),
        (Shape::Search(Vec::new()), LAZY),
    ] {
        let ground = ground();
        let (views, view) = start(&ground, &options, shape.clone());
        append(&ground, "one", 0, 0..100, Some(1));
        append(&ground, "one", 1, 3..100, None);
        catch_up(&ground, &view, &STREAMS);
        // A commit after the last of them is folded.
        append(&ground, "two", 1, 1..2, None);
        catch_up(&ground, &view, &STREAMS);
        let until = std::time::Instant::now() + WAIT;
        while kept(&view).1 != 2 && std::time::Instant::now() < until {
            append(&ground, "two", 0, 200..201, None);
            catch_up(&ground, &view, &STREAMS);
        }
        assert_eq!(
            kept(&view),
            (vec!["k0 | 1".to_owned(), "k2 | 1".to_owned()], 2),
            "{shape:?}"
        );
        assert_eq!(view.status().rows, 2);
        append(&ground, "two", 0, 50..51, Some(7));
        catch_up(&ground, &view, &STREAMS);
        assert_eq!(kept(&view).0, ["k0 | 1", "k2 | 1", "k50 | 7"], "it comes back");
        views.close();
    }
}

#[test]
fn what_is_older_and_comes_later_does_not_bring_a_row_back() {
    let ground = ground();
    let (views, view) = start(&ground, &EAGER, Shape::Document);
    let paused = views.pause("two").expect("it is followed");
    append(&ground, "two", 0, 0..10, Some(2));
    append(&ground, "one", 0, 0..10, None);
    catch_up(&ground, &view, &["one"]);
    assert_eq!(kept(&view), (Vec::new(), 10), "places, since older events may come");
    drop((paused, view, views));

    // Killed, they are in the store alone.
    let (views, view) = start(&ground, &EAGER, Shape::Document);
    catch_up(&ground, &view, &STREAMS);
    assert!(kept(&view).0.is_empty());
    let until = std::time::Instant::now() + WAIT;
    while kept(&view).1 > 0 && std::time::Instant::now() < until {
        append(&ground, "one", 1, 20..21, None);
        catch_up(&ground, &view, &STREAMS);
    }
    assert_eq!(kept(&view), (Vec::new(), 0), "found in the store, and gone");
    views.close();
}

#[test]
fn a_row_that_is_deleted_again_keeps_its_newer_place() {
    let ground = ground();
    let (views, view) = start(&ground, &LAZY, Shape::Document);
    append(&ground, "one", 0, 0..1, Some(1));
    append(&ground, "one", 0, 0..1, None);
    catch_up(&ground, &view, &STREAMS);
    let paused = views.pause("two").expect("it is followed");
    append(&ground, "two", 0, 0..1, Some(2));
    append(&ground, "one", 0, 0..1, None);
    catch_up(&ground, &view, &["one"]);
    // Everything is folded that was in the log when the row was deleted first, and what came before the second time is not.
    assert_eq!(kept(&view), (Vec::new(), 1), "the place of the second tombstone");
    drop(paused);
    catch_up(&ground, &view, &STREAMS);
    assert_eq!(kept(&view), (Vec::new(), 0), "what is older does not bring it back");
    views.close();
}

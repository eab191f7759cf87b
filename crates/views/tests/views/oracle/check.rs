//! What is looked at of a view: its rows in every way that they are read, and what its shape keeps beside them, against its query in batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use headwater_records::Position;
use headwater_views::decode::StreamDecoder;
use headwater_views::search::{Connective, Query, SearchImage};
use headwater_views::{Ask, Direction, EdgeEnd, GroupKey, Selection, Source, View};

use super::events::{STREAMS, Stream};
use super::machine::Machine;
use super::queries::{Asked, Kind};
use super::tables;
use crate::ground::{difference, in_their_order, printed};

/// Compares a view that has folded everything with its query in batch, where the plans stand now.
pub fn compare(
    machine: &Machine<'_>,
    view: &Arc<View>,
    asked: &Asked,
    kind: Kind,
    end: &Position,
) -> Result<(), String> {
    let expected = printed(&machine.in_batch(asked.batch())?);
    if view.is_per_event() {
        let rows = view.lake_rows().map_err(|error| error.to_string())?;
        let mut found = rows.waiting;
        found.extend(rows.table.iter().flat_map(|table| tables::rows_of(table.as_ref())));
        return same("rows of the table and those that wait", &printed(&found), &expected);
    }
    let all = view.read(&Selection::All).map_err(|error| error.to_string())?;
    same("rows", &printed(&all.batches), &expected)?;
    if !asked.hides_rows() && view.status().rows != expected.len() as u64 {
        return Err(format!(
            "{} rows are counted and {} expected",
            view.status().rows,
            expected.len()
        ));
    }
    if !view.key_columns().is_empty() {
        by_key(view, &all.batches, &expected)?;
        in_order(view, &expected)?;
    }
    match kind {
        Kind::Graph(..) => both_ends(view),
        Kind::Search(_) => searched(machine, view, asked, end),
        _ => Ok(()),
    }
}

fn same(what: &str, found: &[String], expected: &[String]) -> Result<(), String> {
    match difference(found, expected) {
        None => Ok(()),
        Some(difference) => Err(format!("{what}: {difference}")),
    }
}

/// Each row again, by its key.
fn by_key(view: &View, rows: &[RecordBatch], expected: &[String]) -> Result<(), String> {
    let mut keys: Vec<GroupKey> = Vec::new();
    for batch in rows {
        keys.extend(view.keys_of(batch).map_err(|error| error.to_string())?);
    }
    let found = view.find(&keys).map_err(|error| error.to_string())?;
    let found: Vec<RecordBatch> = found.rows.into_iter().flatten().collect();
    same("rows by their keys", &printed(&found), expected)
}

/// All rows in the order of their keys, both ways, and the first of them.
fn in_order(view: &View, expected: &[String]) -> Result<(), String> {
    let ask = |order, limit| {
        let ask = Ask {
            selection: Selection::All,
            order: Some(order),
            limit,
            columns: None,
        };
        let rows = view.ask(&ask).map_err(|error| error.to_string())?;
        Ok::<_, String>(in_their_order(&rows.batches))
    };
    let ascending = ask(Direction::Ascending, None)?;
    let mut descending = ask(Direction::Descending, None)?;
    descending.reverse();
    if ascending != descending {
        return Err(format!(
            "found ascending: {ascending:#?}\nexpected, descending and turned round: {descending:#?}"
        ));
    }
    let first = ask(Direction::Ascending, Some(2))?;
    if first[..] != ascending[..ascending.len().min(2)] {
        return Err(format!("the first two: {first:#?}\nexpected those of: {ascending:#?}"));
    }
    let mut sorted = ascending;
    sorted.sort();
    same("rows in the order of their keys", &sorted, expected)
}

/// Every edge is found from each of its ends, and nowhere else.
fn both_ends(view: &Arc<View>) -> Result<(), String> {
    let failed = |error: headwater_views::ViewError| error.to_string();
    let reader = view.reader().map_err(failed)?;
    let keys: Vec<Vec<u8>> = reader.keys().collect::<Result<_, _>>().map_err(failed)?;
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    for end in [EdgeEnd::Source, EdgeEnd::Destination] {
        let vertices = reader.vertices(end, &keys).map_err(failed)?;
        let distinct: BTreeSet<&Vec<u8>> = vertices.iter().flatten().collect();
        for vertex in distinct {
            let found: Vec<Vec<u8>> = reader.edges_at(end, vertex).collect::<Result<_, _>>().map_err(failed)?;
            let expected = keys.iter().zip(&vertices).filter(|(_, of)| of.as_ref() == Some(vertex));
            let expected: Vec<Vec<u8>> = expected.map(|(key, _)| key.to_vec()).collect();
            if found != expected {
                let (found, expected) = (found.len(), expected.len());
                return Err(format!(
                    "{found} edges are found at the {end:?} {vertex:?}, and {expected} expected"
                ));
            }
        }
    }
    Ok(())
}

/// What a search finds is what a filter lets through.
fn searched(machine: &Machine<'_>, view: &View, asked: &Asked, end: &Position) -> Result<(), String> {
    let failed = |error: headwater_views::ViewError| error.to_string();
    for (query, filter) in asked.finds {
        let moment = view.searchable(Some(end)).map_err(failed)?;
        let image = view.image::<SearchImage>().ok_or("it has no index")?;
        let parsed = Query::parse(query, image.fields(), Connective::And).map_err(|error| error.to_string())?;
        let hits = moment.find(&parsed, None).map_err(failed)?;
        let found = printed(&[moment.rows(view, &hits).map_err(failed)?]);
        let expected = machine.in_batch(&format!("SELECT * FROM ({}) WHERE {filter}", asked.batch()))?;
        same(&format!("what {query} finds"), &found, &printed(&expected))?;
    }
    Ok(())
}

/// The table of a view, as others see it, is the view's query where the table stands. Once the program was closed: it stands at the end.
pub fn compare_table(machine: &Machine<'_>, view: &View, asked: &Asked) -> Result<(), String> {
    let Some(source) = view.lake_source() else {
        return Ok(());
    };
    let expected = printed(&machine.in_batch(asked.batch())?);
    same(
        "rows of the table",
        &printed(&tables::rows_of(source.as_ref())),
        &expected,
    )
}

/// Each row as it was, from the newest snapshot on, against the query in batch where the plans stand now.
pub fn compare_rewound(machine: &Machine<'_>, view: &View, asked: &Asked, at: &Position) -> Result<(), String> {
    let has_keys = view.only_key().is_some() || !view.key_columns().is_empty();
    if view.is_per_event() || asked.hides_rows() || !has_keys {
        return Ok(());
    }
    let failed = |error: headwater_views::ViewError| error.to_string();
    let then = machine.in_batch(asked.batch())?;
    let mut keys: Vec<GroupKey> = Vec::new();
    match view.only_key() {
        Some(key) => keys.push(key),
        None => {
            let now = view.read(&Selection::All).map_err(failed)?.batches;
            for rows in then.iter().chain(&now) {
                keys.extend(view.keys_of(rows).map_err(failed)?);
            }
        }
    }
    keys.sort();
    keys.dedup();
    let mut decoded: BTreeMap<(String, String), (RecordBatch, RecordBatch)> = BTreeMap::new();
    let mut found: Vec<String> = Vec::new();
    for key in keys {
        let past = view.past(&key, at).map_err(failed)?;
        if !at.covers(&past.from) {
            return Err(format!(
                "the rewind to {at} begins at {}, and is expected to begin before",
                past.from
            ));
        }
        let from = past.from.clone();
        let mut rewinding = view.rewinding(past).map_err(failed)?;
        for stream in STREAMS.iter().filter(|stream| view.streams().contains(&stream.name)) {
            let between = (stream.name.to_owned(), from.to_string());
            let (events, tombstones) = decoded
                .entry(between)
                .or_insert_with(|| between_of(machine, stream, &from, at));
            let source = Source::Events(stream.name.to_owned());
            rewinding.fold(&source, events).map_err(failed)?;
            let source = Source::Tombstones(stream.name.to_owned());
            rewinding.fold(&source, tombstones).map_err(failed)?;
        }
        found.extend(printed(&Vec::from_iter(rewinding.row().map_err(failed)?)));
    }
    found.sort();
    same(&format!("rows as of {at}"), &found, &printed(&then))
}

/// All rows as they were, made together, from the newest checkpoint on where there is one: whether there was.
pub fn compare_all_rewound(
    machine: &Machine<'_>,
    view: &Arc<View>,
    asked: &Asked,
    at: &Position,
) -> Result<bool, String> {
    if view.is_per_event() {
        return Ok(false);
    }
    let failed = |error: headwater_views::ViewError| error.to_string();
    let checkpoint = view.checkpoint(at);
    let is_kept = checkpoint.is_some();
    let from = checkpoint.as_ref().map(|checkpoint| checkpoint.position().clone());
    let from = from.unwrap_or_default();
    let mut refold = view.refold(checkpoint).map_err(failed)?;
    for stream in STREAMS.iter().filter(|stream| view.streams().contains(&stream.name)) {
        let (events, tombstones) = between_of(machine, stream, &from, at);
        let source = Source::Events(stream.name.to_owned());
        refold.fold(&source, &events).map_err(failed)?;
        let source = Source::Tombstones(stream.name.to_owned());
        refold.fold(&source, &tombstones).map_err(failed)?;
    }
    let rows: Vec<RecordBatch> = refold.rows().and_then(Iterator::collect).map_err(failed)?;
    let expected = printed(&machine.in_batch(asked.batch())?);
    same(
        &format!("all rows as of {at}, from {from} on"),
        &printed(&rows),
        &expected,
    )?;
    Ok(is_kept)
}

/// The events of a stream between two positions, and the tombstones.
fn between_of(machine: &Machine<'_>, stream: &Stream, from: &Position, upto: &Position) -> (RecordBatch, RecordBatch) {
    let decoder = machine.decoder(&stream.definition());
    let mut read = Vec::new();
    for partition in 0..stream.partitions {
        let (from, upto) = (from.get(stream.name, partition), upto.get(stream.name, partition));
        let batches = machine
            .log
            .read(stream.name, partition, from, usize::MAX)
            .expect("a readable log");
        read.push((partition, from, upto, batches));
    }
    let of = |decoder: &StreamDecoder| {
        let rows: Vec<RecordBatch> = read
            .iter()
            .map(|(partition, from, upto, batches)| decoder.decode(*partition, batches, *from, *upto, None).rows)
            .collect();
        arrow::compute::concat_batches(&decoder.schema(), &rows).expect("rows of one schema")
    };
    (of(&decoder), of(&decoder.of_tombstones()))
}

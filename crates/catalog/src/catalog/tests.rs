//! The catalog over a real log in a folder: what it takes, what it refuses, and what it mends after a crash.

use std::path::Path;

use headwater_eventlog::{LogOptions, Recovery};
use headwater_host::Host;

use super::*;
use crate::limits::TAGS_MAX;
use crate::{
    CATALOG_STREAM, Column, ColumnType, CommandDefinition, PARKED_STREAM, Pipeline, Shape, ViewDefinition, ViewSettings,
};

fn options() -> LogOptions {
    LogOptions {
        batch_bytes_max: 1 << 20,
        journal_bytes: 4 << 20,
        segment_bytes: 4 << 20,
        pending_bytes_max: 4 << 20,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        ..LogOptions::default()
    }
}

fn open(folder: &Path) -> (EventLog, Catalog) {
    let (log, _): (EventLog, Recovery) = EventLog::open(Host::real(), folder, options()).expect("the log opens");
    let catalog = Catalog::open(log.clone()).expect("the catalog opens");
    (log, catalog)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime starts")
}

/// `name a:TEXT! b:INTEGER /4 key=a`: columns (`!`: NOT NULL), partitions, key, time, kind, tags, the stream that it is a pipeline of; without columns schema-free.
fn stream(text: &str) -> Definition {
    let mut words = text.split(' ');
    let mut stream = StreamDefinition::schema_free(words.next().expect("a name"), 0);
    stream.statement = text.to_owned();
    for word in words {
        if let Some(partitions) = word.strip_prefix('/') {
            stream.partitions = partitions.parse().expect("a number of partitions");
        } else if let Some(key) = word.strip_prefix("key=") {
            stream.key = key.split(',').map(str::to_owned).collect();
        } else if let Some(time) = word.strip_prefix("time=") {
            stream.time = Some(time.to_owned());
        } else if let Some(kind) = word.strip_prefix("kind=") {
            stream.kind = Some(kind.to_owned());
        } else if let Some(tags) = word.strip_prefix("tags=") {
            stream.tags = tags.split(',').map(str::to_owned).collect();
        } else if let Some(source) = word.strip_prefix("of=") {
            stream.pipeline = Some(Pipeline {
                query: String::new(),
                sources: vec![source.to_owned()],
                spelled_out: None,
                begins: None,
            });
        } else if word == "kafka" {
            stream.statement = String::new();
        } else {
            let (name, column_type) = word.split_once(':').expect("a column");
            let column_type = match column_type.trim_end_matches('!') {
                "TEXT" => ColumnType::Text,
                "INTEGER" => ColumnType::Integer,
                "BIGINT" => ColumnType::BigInt,
                "DATE" => ColumnType::Date,
                "REAL" => ColumnType::Real,
                "DECIMAL39" => ColumnType::Decimal(39, 2),
                other => panic!("no type {other}"),
            };
            stream
                .columns
                .get_or_insert_default()
                .push(Column::new(name, column_type, !word.ends_with('!')));
        }
    }
    Definition::Stream(stream)
}

fn view(name: &str, sources: &[&str]) -> Definition {
    Definition::View(ViewDefinition {
        name: name.to_owned(),
        shape: Some(Shape::Document),
        settings: ViewSettings::default(),
        query: "SELECT 1".to_owned(),
        key: Vec::new(),
        sources: sources.iter().map(|source| source.to_string()).collect(),
        spelled_out: None,
        statement: format!("{name} over {sources:?}"),
        version: 1,
        before: None,
    })
}

fn command(name: &str, sources: &[&str]) -> Definition {
    Definition::Command(CommandDefinition {
        name: name.to_owned(),
        sources: sources.iter().map(|source| source.to_string()).collect(),
        spelled_out: None,
        statement: String::new(),
    })
}

/// Defines one after another in an empty catalog, and expects of the last one: what was done, or a part of the error.
fn check(earlier: &[Definition], last: Definition, mode: CreateMode, expected: Result<Defined, &str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, catalog) = open(folder.path());
    let what = format!("{last:?} after {earlier:?}");
    let outcome = runtime().block_on(async {
        for definition in earlier {
            catalog
                .define(definition.clone(), CreateMode::Create, "ann")
                .await
                .expect("the earlier definitions are taken");
        }
        catalog.define(last, mode, "ann").await
    });
    match (outcome, expected) {
        (Ok(defined), Ok(expected)) => assert_eq!(defined, expected, "{what}"),
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{what}: {error}"),
        (outcome, expected) => panic!("{what}: {outcome:?}, expected {expected:?}"),
    }
    // What a restart folds is what is seen now.
    let before = catalog.all();
    drop(catalog);
    log.close();
    drop(log);
    let (log, catalog) = open(folder.path());
    assert_eq!(catalog.all(), before, "{what}");
    log.close();
}

#[test]
fn a_definition_is_taken_refused_or_left_as_the_mode_says() {
    use CreateMode::*;
    let declared = || stream("s a:TEXT! /4");
    check(&[], declared(), Create, Ok(Defined::Created));
    check(&[], stream("s"), Create, Ok(Defined::Created));
    check(&[declared()], declared(), Create, Err("a stream 's' exists already"));
    check(&[declared()], stream("s b:TEXT"), IfNotExists, Ok(Defined::Unchanged));
    check(&[declared()], declared(), OrReplace, Ok(Defined::Unchanged));
    check(
        &[declared()],
        view("s", &[]),
        OrReplace,
        Err("a stream 's' exists already, and does not become a view: choose another name, or drop the stream first"),
    );
    check(
        &[declared()],
        view("s", &[]),
        IfNotExists,
        Err("a stream 's' exists already"),
    );
    check(&[declared()], view("v", &["s"]), Create, Ok(Defined::Created));
    check(
        &[declared(), view("v", &[])],
        view("v", &["s"]),
        OrReplace,
        Ok(Defined::Replaced),
    );
    check(
        &[command("c", &[])],
        command("c", &[]),
        Create,
        Err("a command 'c' exists already"),
    );
}

#[test]
fn a_stream_is_replaced_only_by_what_its_events_fit() {
    use CreateMode::OrReplace;
    let old = || [stream("s a:TEXT! b:INTEGER /4 key=a")];
    check(
        &old(),
        stream("s a:TEXT! b:INTEGER c:TEXT key=a"),
        OrReplace,
        Ok(Defined::Replaced),
    );
    check(
        &old(),
        stream("s a:TEXT! b:INTEGER c:TEXT! key=a"),
        OrReplace,
        Err("'c' is NOT NULL"),
    );
    check(
        &old(),
        stream("s a:TEXT! key=a"),
        OrReplace,
        Err("column 'b' would be gone"),
    );
    check(
        &old(),
        stream("s b:INTEGER a:TEXT! key=a"),
        OrReplace,
        Err("column 1 is 'a' and would become 'b'"),
    );
    check(
        &old(),
        stream("s a:TEXT b:INTEGER key=a"),
        OrReplace,
        Err("'a TEXT NOT NULL' would become 'a TEXT'"),
    );
    check(
        &old(),
        stream("s a:TEXT! b:TEXT key=a"),
        OrReplace,
        Err("'b INTEGER' would become 'b TEXT'"),
    );
    check(
        &old(),
        stream("s a:TEXT! b:INTEGER key=b"),
        OrReplace,
        Err("its KEY would change"),
    );
    check(
        &old(),
        stream("s a:TEXT! b:INTEGER key=a /5"),
        OrReplace,
        Err("has 4 partition(s), which cannot become 5"),
    );
    // It was given more partitions than its statement names: it keeps them.
    check(
        &old(),
        stream("s a:TEXT! b:INTEGER key=a /2"),
        OrReplace,
        Ok(Defined::Replaced),
    );
    check(&old(), stream("s"), OrReplace, Err("the new definition has none"));
}

#[test]
fn the_columns_of_a_pipeline_become_what_its_query_gives_where_they_hold_more() {
    use CreateMode::OrReplace;
    let check_over = |new: &str, expected| {
        let old = [stream("src"), stream("s a:TEXT! b:INTEGER! of=src key=a")];
        check(&old, stream(new), OrReplace, expected);
    };
    let replaced = || Ok(Defined::Replaced);
    check_over("s a:TEXT! b:BIGINT! of=src key=a", replaced());
    check_over("s a:TEXT b:INTEGER of=src key=a", replaced());
    check_over("s a:TEXT! b:BIGINT c:TEXT of=src key=a", replaced());
    check_over(
        "s a:TEXT! b:REAL! of=src key=a",
        Err("'b INTEGER NOT NULL' would become 'b REAL NOT NULL'"),
    );
    check_over(
        "s a:TEXT! c:BIGINT! of=src key=a",
        Err("column 2 is 'b' and would become 'c'"),
    );
    check_over("s a:TEXT! of=src key=a", Err("column 'b' would be gone"));
    check_over(
        "s a:TEXT! b:BIGINT! key=a",
        Err("'b INTEGER NOT NULL' would become 'b BIGINT NOT NULL'"),
    );
    // The very statement that is there says more by now: its source's columns hold more.
    let said_again = |columns: &str| match stream(&format!("s {columns} of=src")) {
        Definition::Stream(stream) => Definition::Stream(StreamDefinition {
            statement: "CREATE STREAM s AS SELECT * FROM src".to_owned(),
            ..stream
        }),
        other => other,
    };
    for (columns, expected) in [
        ("b:BIGINT", Defined::Replaced),
        ("b:INTEGER", Defined::Unchanged),
        ("b:REAL", Defined::Unchanged),
        ("b:INTEGER c:TEXT", Defined::Unchanged),
    ] {
        check(
            &[stream("src"), said_again("b:INTEGER")],
            said_again(columns),
            OrReplace,
            Ok(expected),
        );
    }
}

#[test]
fn a_stream_made_by_a_kafka_client_is_declared_afterwards() {
    use CreateMode::*;
    let made = || [stream("s kafka /3")];
    for mode in [Create, IfNotExists, OrReplace] {
        check(&made(), stream("s a:TEXT"), mode, Ok(Defined::Replaced));
        check(&made(), stream("s a:TEXT /3"), mode, Ok(Defined::Replaced));
        check(
            &made(),
            stream("s a:TEXT /4"),
            mode,
            Err("has 3 partition(s), which cannot become 4"),
        );
    }
    check(&made(), stream("s kafka /3"), Create, Err("exists already"));
    // Declared without columns by a statement: from then on it is somebody's.
    check(&[stream("s /3")], stream("s a:TEXT"), Create, Err("exists already"));
    check(&[stream("s /3")], stream("s a:TEXT"), OrReplace, Ok(Defined::Replaced));
}

#[test]
fn a_definition_that_contradicts_itself_is_refused() {
    use CreateMode::Create;
    check(&[], stream("a/b"), Create, Err("contains '/'"));
    check(
        &[],
        stream("_headwater.mine"),
        Create,
        Err("kept for the program's own"),
    );
    check(&[], stream("s a:TEXT a:TEXT"), Create, Err("column 'a' is there twice"));
    check(&[], stream("s a:TEXT key=b"), Create, Err("KEY names 'b'"));
    check(&[], stream("s a:TEXT key=a,a"), Create, Err("KEY names 'a' twice"));
    check(&[], stream("s a:TEXT time=b"), Create, Err("TIME names 'b'"));
    check(&[], stream("s a:TEXT time=a"), Create, Err("business time is a DATE"));
    check(&[], stream("s a:DATE time=a"), Create, Ok(Defined::Created));
    check(
        &[],
        stream("s a:TEXT b:DATE kind=a tags=a,b"),
        Create,
        Ok(Defined::Created),
    );
    check(
        &[],
        stream("s a:TEXT kind=b"),
        Create,
        Err("KIND names 'b', which is none"),
    );
    check(
        &[],
        stream("s a:TEXT tags=a,b"),
        Create,
        Err("TAGS names 'b', which is none"),
    );
    check(&[], stream("s a:TEXT tags=a,a"), Create, Err("TAGS names 'a' twice"));
    check(
        &[],
        stream("s a:REAL tags=a"),
        Create,
        Err("TAGS names 'a', which is REAL"),
    );
    check(
        &[],
        stream("s a:REAL kind=a"),
        Create,
        Err("KIND names 'a', which is REAL"),
    );
    let tagged = |count: usize| {
        let columns: Vec<String> = (0..count).map(|number| format!("c{number}:TEXT")).collect();
        let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
        stream(&format!("s {} tags={}", columns.join(" "), names.join(",")))
    };
    check(&[], tagged(TAGS_MAX), Create, Ok(Defined::Created));
    check(&[], tagged(TAGS_MAX + 1), Create, Err("at most 16 are taken"));
    check(
        &[],
        stream("s a:DECIMAL39"),
        Create,
        Err("the precision must be from 1 to 38"),
    );
    check(&[], stream("s /10000"), Create, Ok(Defined::Created));
    check(&[], stream("s /10001"), Create, Err("more than the 10000"));
    check(&[], view("v", &["s"]), Create, Err("there is no stream or view 's'"));
    check(&[], view("v", &["v"]), Create, Err("view 'v' would read itself"));
    check(&[], view("v", &[PARKED_STREAM]), Create, Ok(Defined::Created));
    check(
        &[stream("s"), view("v", &["s"]), view("w", &["v"])],
        view("v", &["s", "w"]),
        CreateMode::OrReplace,
        Err("view 'v' would read itself"),
    );
}

#[test]
fn a_drop_waits_for_dependents_and_takes_the_events_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, catalog) = open(folder.path());
    runtime().block_on(async {
        for definition in [stream("s /2"), view("v", &["s"]), command("c", &["s", "v"])] {
            catalog
                .define(definition, CreateMode::Create, "ann")
                .await
                .expect("taken");
        }
        let mut changes = catalog.changes();
        changes.mark_unchanged();
        let refused = catalog.drop("stream", "s", "ann").await.expect_err("it is needed");
        assert_eq!(
            refused.to_string(),
            "stream 's' cannot be dropped: command 'c', view 'v' depend(s) on it; drop those first"
        );
        let unknown = catalog.drop("view", "s", "ann").await.expect_err("it is a stream");
        assert_eq!(unknown.to_string(), "there is no view 's'");
        let internal = catalog
            .drop("stream", PARKED_STREAM, "ann")
            .await
            .expect_err("it is ours");
        assert!(internal.to_string().contains("keeps it for itself"));
        assert!(!changes.has_changed().expect("the catalog lives"));
        catalog.drop("command", "c", "ann").await.expect("dropped");
        catalog.drop("view", "v", "ann").await.expect("dropped");
        catalog.drop("stream", "s", "ann").await.expect("dropped");
        assert!(changes.has_changed().expect("the catalog lives"));
        assert_eq!(log.stream("s"), None);
        catalog
            .define(stream("s /3"), CreateMode::Create, "ann")
            .await
            .expect("the name is free again");
        assert_eq!(log.stream("s").map(|info| info.partitions), Some(3));
    });
    log.close();
}

#[test]
fn opening_mends_what_a_crash_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, catalog) = open(folder.path());
    let defined = stream("defined /3");
    let gone = stream("gone /1");
    log.append_blocking(
        events::append("defined", &Change::Created(&defined), &StreamSettings::default(), "ann").expect("encodes"),
    )
    .expect("the event of a creation, and then a crash");
    log.append_blocking(
        events::append("gone", &Change::Created(&gone), &StreamSettings::default(), "ann").expect("encodes"),
    )
    .expect("a creation");
    log.create_stream("gone", 1, StreamSettings::default())
        .expect("created");
    log.append_blocking(events::append("gone", &Change::Dropped, &StreamSettings::default(), "ann").expect("encodes"))
        .expect("the event of a drop, and then a crash");
    log.create_stream("found", 2, StreamSettings::default())
        .expect("made past the catalog");
    log.create_stream("_headwater.offsets", 5, StreamSettings::default())
        .expect("one of ours");
    drop(catalog);
    log.close();
    drop(log);

    for _ in 0..2 {
        let (log, catalog) = open(folder.path());
        assert_eq!(log.stream("defined").map(|info| info.partitions), Some(3));
        assert_eq!(log.stream("gone"), None);
        let names: Vec<String> = catalog
            .all()
            .iter()
            .map(|definition| definition.name().to_owned())
            .collect();
        assert_eq!(names, ["defined", "found"]);
        let found = catalog.stream("found").expect("it has a definition now");
        assert_eq!((found.columns.as_ref(), found.partitions), (None, 2));
        let offsets = catalog.stream("_headwater.offsets").expect("ours is found");
        assert_eq!((offsets.columns.as_ref(), offsets.partitions), (None, 5));
        let parked = catalog.stream(PARKED_STREAM).expect("ours is found");
        assert_eq!(parked.fields().len(), 7);
        assert!(catalog.stream(CATALOG_STREAM).is_some());
        assert!(catalog.stream("_headwater.nothing").is_none());
        log.close();
    }
}

#[test]
fn a_drop_left_half_done_is_finished_before_the_name_is_given_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, catalog) = open(folder.path());
    runtime().block_on(async {
        catalog
            .define(stream("s /1"), CreateMode::Create, "ann")
            .await
            .expect("taken");
        let old = log.stream("s").expect("it is there").id;
        catalog.inner.fold("s".to_owned(), None);
        catalog
            .define(stream("s /2"), CreateMode::Create, "ann")
            .await
            .expect("taken again");
        let new = log.stream("s").expect("it is there");
        assert_ne!(new.id, old);
        assert_eq!(new.partitions, 2);
    });
    log.close();
}

#[test]
fn an_event_of_a_newer_program_is_not_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, _catalog) = open(folder.path());
    let mut append =
        events::append("x", &Change::Created(&stream("x")), &StreamSettings::default(), "").expect("encodes");
    let event = headwater_records::Event {
        key: Some("x".into()),
        value: Some(r#"{"noun":"mirror","name":"x"}"#.into()),
        headers: Vec::new(),
        timestamp_ms: 0,
    };
    append.parts[0].batch = headwater_records::Batch::encode(&[event], headwater_records::Compression::None, None);
    log.append_blocking(append).expect("appended");
    let error = Catalog::open(log.clone()).map(|_| ()).expect_err("it is refused");
    let text = error.to_string();
    assert!(
        text.contains("_headwater.catalog/0@0 is no definition this program knows"),
        "{text}"
    );
    assert!(text.contains("unknown variant `mirror`"), "{text}");
    log.close();
}

#[test]
fn a_change_runs_to_its_end_when_the_one_who_asked_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, catalog) = open(folder.path());
    runtime().block_on(async {
        let mut changes = catalog.changes();
        {
            let asked = catalog.define(stream("s"), CreateMode::Create, "ann");
            tokio::pin!(asked);
            // Polled once, then dropped.
            tokio::select! {
                biased;
                _ = &mut asked => {}
                () = std::future::ready(()) => {}
            }
        }
        changes.wait_for(|count| *count > 0).await.expect("the catalog lives");
        assert!(catalog.stream("s").is_some());
    });
    log.close();
}

/// What the log asks for the facets of a stream must not hold the log: its folder would stay locked.
#[test]
fn a_log_is_free_once_all_who_use_it_are_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let (log, catalog) = open(folder.path());
        let defined = catalog.define(stream("keyed a:TEXT! key=a"), CreateMode::IfNotExists, "ann");
        runtime().block_on(defined).expect("it is defined");
        drop((log, catalog));
    }
}

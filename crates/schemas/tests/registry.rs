//! The registry over a log on a disk in memory: ids and versions, levels, deletion, references, and the same after a restart.

use std::path::Path;

use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_schemas::{Deleted, Level, Mode, Reference, Schema, SchemaError, SchemaType, Schemas, Wanted};

/// A registry in a scratch folder.
struct Ground {
    folder: tempfile::TempDir,
    log: EventLog,
    schemas: Schemas,
}

impl Ground {
    async fn open() -> Ground {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (log, schemas) = opened(folder.path()).await;
        Ground { folder, log, schemas }
    }

    async fn restart(self) -> Ground {
        let Ground { folder, log, schemas } = self;
        drop(schemas);
        tokio::task::spawn_blocking(move || log.close())
            .await
            .expect("it closes");
        let (log, schemas) = opened(folder.path()).await;
        Ground { folder, log, schemas }
    }

    /// Registers, and says `id/version` or the error's code.
    async fn register(&self, subject: &str, schema: Schema) -> Result<(u32, u32), u32> {
        let registered = self.schemas.register(subject, schema, "ann").await;
        registered
            .map(|found| (found.registered.id, found.version))
            .map_err(|error| error.code())
    }
}

async fn opened(folder: &Path) -> (EventLog, Schemas) {
    let folder = folder.to_owned();
    let open = move || {
        let (log, _) = EventLog::open(Host::real(), &folder, LogOptions::default()).expect("the log opens");
        let schemas = Schemas::open(log.clone()).expect("the registry opens");
        (log, schemas)
    };
    tokio::task::spawn_blocking(open).await.expect("it opens")
}

fn avro(fields: &str) -> Schema {
    schema(
        SchemaType::Avro,
        &format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#),
    )
}

fn schema(schema_type: SchemaType, text: &str) -> Schema {
    Schema {
        schema_type,
        text: text.to_owned(),
        references: Vec::new(),
    }
}

const A: &str = r#"{"name":"a","type":"string"}"#;
const B: &str = r#"{"name":"b","type":["null","long"],"default":null}"#;
const C: &str = r#"{"name":"c","type":"long"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_dense_and_one_schema_has_one() {
    let ground = Ground::open().await;
    assert_eq!(ground.register("s-value", avro(A)).await, Ok((1, 1)));
    // The same but for its text.
    let spaced = schema(
        SchemaType::Avro,
        r#"{ "name": "r", "type": "record", "fields": [ {"type":"string","name":"a"} ] }"#,
    );
    assert_eq!(ground.register("s-value", spaced).await, Ok((1, 1)));
    assert_eq!(ground.register("t-value", avro(A)).await, Ok((1, 1)));
    assert_eq!(ground.register("s-value", avro(&format!("{A},{B}"))).await, Ok((2, 2)));
    assert_eq!(ground.register("s-value", avro(&format!("{A},{C}"))).await, Err(409));
    assert_eq!(
        ground.register("s-value", schema(SchemaType::Avro, "{")).await,
        Err(42201)
    );
    assert_eq!(ground.register("", avro(A)).await, Err(42208));
    let ground = ground.restart().await;
    assert_eq!(ground.schemas.subjects(Deleted(false)), ["s-value", "t-value"]);
    assert_eq!(ground.register("u-value", avro(C)).await, Ok((3, 1)));
    assert_eq!(ground.schemas.id_max(), 3);
    let latest = ground
        .schemas
        .version("s-value", Wanted::Latest, Deleted(false))
        .expect("it is there");
    assert_eq!((latest.version, latest.registered.id), (2, 2));
    let found = ground
        .schemas
        .lookup("s-value", avro(A), Deleted(false))
        .expect("it is there");
    assert_eq!(found.version, 1);
    let missing = ground
        .schemas
        .lookup("s-value", avro(C), Deleted(false))
        .expect_err("it has another");
    assert_eq!(missing.code(), 40403);
    let versions = ground.schemas.versions_of(1, Deleted(false)).expect("it is there");
    let places: Vec<String> = versions
        .iter()
        .map(|found| format!("{}/{}", found.subject, found.version))
        .collect();
    assert_eq!(places, ["s-value/1", "t-value/1"]);
    // An id counts from when it was given.
    let since_us = ground.schemas.id(3).expect("it is there").since_us;
    assert!(ground.schemas.id_at(3, since_us - 1).is_none() && ground.schemas.id_at(3, since_us).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_say_what_may_follow() {
    let ground = Ground::open().await;
    let (with_b, with_c) = (format!("{A},{B}"), format!("{A},{C}"));
    // Level, the schemas of a subject in order, whether the last is taken.
    let cases: [(Level, &[&str], bool); 9] = [
        (Level::None, &[A, C], true),
        (Level::Backward, &[A, &with_b], true),
        (Level::Backward, &[A, &with_c], false),
        (Level::Forward, &[A, &with_c], true),
        (Level::Forward, &[&with_c, A], false),
        (Level::Full, &[A, &with_b], true),
        (Level::Full, &[A, &with_c], false),
        // The last one may be followed, the first may not.
        (Level::Forward, &[&with_b, A, A], true),
        (Level::FullTransitive, &[A, &with_b, &with_c], false),
    ];
    for (index, (level, schemas, is_taken)) in cases.into_iter().enumerate() {
        let subject = format!("s{index}");
        ground
            .schemas
            .set_level(Some(&subject), Some(Level::None), "ann")
            .await
            .expect("it is set");
        let (last, earlier) = schemas.split_last().expect("some");
        for fields in earlier {
            ground
                .register(&subject, avro(fields))
                .await
                .expect("anything may follow");
        }
        ground
            .schemas
            .set_level(Some(&subject), Some(level), "ann")
            .await
            .expect("it is set");
        let obstacles = ground
            .schemas
            .obstacles(&subject, None, avro(last))
            .expect("it is judged");
        assert_eq!(obstacles.is_empty(), is_taken, "{level} {schemas:?}: {obstacles:?}");
        assert_eq!(
            ground.register(&subject, avro(last)).await.is_ok(),
            is_taken,
            "{level} {schemas:?}"
        );
    }
    let ground = ground.restart().await;
    assert_eq!(ground.schemas.own_level(Some("s3")), Some(Level::Forward));
    assert_eq!(ground.schemas.level("other"), Level::Backward);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_hidden_and_then_gone_and_its_id_stays() {
    let ground = Ground::open().await;
    ground.register("s", avro(A)).await.expect("taken");
    ground.register("s", avro(&format!("{A},{B}"))).await.expect("taken");
    let delete = async |wanted: Option<u32>, permanently: bool| {
        let wanted = wanted.map(Wanted::Number);
        ground
            .schemas
            .delete("s", wanted, permanently, "ann")
            .await
            .map_err(|error| error.code())
    };
    assert_eq!(delete(Some(1), true).await, Err(40407));
    assert_eq!(delete(Some(3), false).await, Err(40402));
    assert_eq!(delete(Some(1), false).await, Ok(vec![1]));
    assert_eq!(delete(Some(1), false).await, Err(40406));
    assert_eq!(delete(None, true).await, Err(40405));
    assert_eq!(delete(None, false).await, Ok(vec![2]));
    assert_eq!(delete(None, false).await, Err(40404));
    assert!(ground.schemas.subjects(Deleted(false)).is_empty());
    assert_eq!(ground.schemas.subjects(Deleted(true)), ["s"]);
    // A schema that comes again keeps its id and gets a new version.
    assert_eq!(ground.register("s", avro(A)).await, Ok((1, 3)));
    assert_eq!(delete(None, false).await, Ok(vec![3]));
    assert_eq!(delete(None, true).await, Ok(vec![1, 2, 3]));
    assert_eq!(delete(None, true).await, Err(40401));
    let ground = ground.restart().await;
    assert!(ground.schemas.subjects(Deleted(true)).is_empty());
    assert!(ground.schemas.id(2).is_some(), "events are read by it");
    assert_eq!(ground.register("t", avro(C)).await, Ok((3, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_hold_what_they_refer_to() {
    let ground = Ground::open().await;
    let inner = schema(
        SchemaType::Avro,
        r#"{"type":"record","name":"i","namespace":"n","fields":[{"name":"x","type":"int"}]}"#,
    );
    assert_eq!(ground.register("inner", inner).await, Ok((1, 1)));
    let outer = |version| Schema {
        references: vec![Reference {
            name: "n.i".to_owned(),
            subject: "inner".to_owned(),
            version,
        }],
        ..avro(r#"{"name":"i","type":"n.i"}"#)
    };
    assert_eq!(ground.register("outer", outer(7)).await, Err(42201));
    assert_eq!(ground.register("outer", outer(1)).await, Ok((2, 1)));
    assert_eq!(ground.schemas.referenced_by("inner", Wanted::Latest), Ok(vec![2]));
    let refused = ground.schemas.delete("inner", None, false, "ann").await;
    assert_eq!(refused.map_err(|error| error.code()), Err(42206));
    ground
        .schemas
        .delete("outer", None, false, "ann")
        .await
        .expect("nothing refers to it");
    ground
        .schemas
        .delete("inner", None, false, "ann")
        .await
        .expect("nothing refers to it any more");
    let ground = ground.restart().await;
    ground
        .schemas
        .id(2)
        .expect("it is there")
        .parsed()
        .expect("what it needs is found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_may_be_closed_and_types_do_not_mix() {
    let ground = Ground::open().await;
    ground
        .schemas
        .set_mode(Some("s"), Some(Mode::ReadOnly), "ann")
        .await
        .expect("it is set");
    assert_eq!(ground.register("s", avro(A)).await, Err(42205));
    ground
        .schemas
        .set_mode(Some("s"), None, "ann")
        .await
        .expect("it is taken back");
    assert_eq!(ground.register("s", avro(A)).await, Ok((1, 1)));
    let protobuf = schema(SchemaType::Protobuf, "syntax = \"proto3\"; message M { string a = 1; }");
    assert_eq!(ground.register("s", protobuf.clone()).await, Err(409));
    assert_eq!(ground.register("m", protobuf).await, Ok((2, 1)));
    let json = schema(SchemaType::Json, r#"{"type":"object"}"#);
    assert_eq!(ground.register("j", json).await, Ok((3, 1)));
    let nobody = Schemas::default().register("s", avro(A), "ann").await.map(|_| ());
    assert!(matches!(nobody, Err(SchemaError::Log(_))));
}

/// What is as deep as its text is long is judged or refused, and exhausts no stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_types_exhaust_nothing() {
    const LINKS: usize = 3_000;
    let ground = Ground::open().await;
    let avro_chain = |last: &str| {
        let mut fields = format!(
            r#"{{"name":"f0","type":{{"type":"record","name":"n0","fields":[{{"name":"x","type":"{last}"}}]}}}}"#
        );
        for link in 1..LINKS {
            let before = link - 1;
            fields.push_str(&format!(
                r#",{{"name":"f{link}","type":{{"type":"record","name":"n{link}","fields":[{{"name":"x","type":"n{before}"}}]}}}}"#
            ));
        }
        schema(
            SchemaType::Avro,
            &format!(r#"{{"type":"record","name":"chain","fields":[{fields}]}}"#),
        )
    };
    let end = LINKS - 1;
    let user = |version| Schema {
        references: vec![Reference {
            name: "chain".to_owned(),
            subject: "chain".to_owned(),
            version,
        }],
        ..avro(&format!(
            r#"{{"name":"c","type":"n{end}"}},{{"name":"d","type":"chain"}}"#
        ))
    };
    ground
        .schemas
        .set_level(None, Some(Level::None), "ann")
        .await
        .expect("it is set");
    ground
        .register("chain", avro_chain("int"))
        .await
        .expect("it is a schema");
    ground
        .register("chain", avro_chain("long"))
        .await
        .expect("it is a schema");
    ground.register("user", user(1)).await.expect("it is a schema");
    ground
        .schemas
        .set_level(None, Some(Level::Backward), "ann")
        .await
        .expect("it is set");
    assert_eq!(
        ground.register("user", user(2)).await,
        Err(409),
        "it is deeper than is judged"
    );
    let messages: String = (0..LINKS)
        .map(|link| format!("message M{link} {{ M{} m = 1; }}", link + 1))
        .collect();
    let protobuf = |last: &str| {
        schema(
            SchemaType::Protobuf,
            &format!("syntax = \"proto3\"; {messages} message M{LINKS} {{ {last} x = 1; }}"),
        )
    };
    ground
        .register("protobuf", protobuf("int32"))
        .await
        .expect("it is a schema");
    ground
        .register("protobuf", protobuf("int64"))
        .await
        .expect("it reads the one before");
    assert_eq!(ground.register("protobuf", protobuf("string")).await, Err(409));
    let json = |last: &str| {
        let links: String = (0..LINKS)
            .map(|link| format!(r##""d{link}":{{"allOf":[{{"$ref":"#/$defs/d{}"}}]}},"##, link + 1))
            .collect();
        schema(
            SchemaType::Json,
            &format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{links}"d{LINKS}":{{"type":"{last}"}}}}}}"##),
        )
    };
    ground.register("json", json("integer")).await.expect("it is a schema");
    assert_eq!(
        ground.register("json", json("number")).await,
        Err(409),
        "it is deeper than is judged"
    );
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for schema_type in SchemaType::ALL {
        assert_eq!(
            ground.register("nested", schema(schema_type, &nested)).await,
            Err(42201),
            "{schema_type}"
        );
    }
    let large = " ".repeat(headwater_schemas::limits::SCHEMA_BYTES_MAX - 2);
    assert_eq!(
        ground
            .register("fits", schema(SchemaType::Json, &format!("{{}}{large}")))
            .await
            .map(|_| ()),
        Ok(())
    );
    assert_eq!(
        ground
            .register("fits", schema(SchemaType::Json, &format!("{{}}{large} ")))
            .await,
        Err(42201)
    );
    // Every line break is two bytes in JSON, and the event too large for the log.
    let escaped = "\n".repeat(headwater_schemas::limits::SCHEMA_BYTES_MAX - 20);
    let escaped = schema(SchemaType::Json, &format!("{escaped}{{\"type\":\"object\"}}"));
    assert_eq!(ground.register("escaped", escaped).await, Err(42201));
}

//! What is read of events as kind, tags and key, column by column.

use std::sync::Arc;

use super::*;
use crate::{Column, EarlierSchema, Format, FormerName};

fn stream() -> StreamDefinition {
    let column = |name: &str, column_type| Column::new(name, column_type, true);
    StreamDefinition {
        columns: Some(vec![
            column("kind", ColumnType::Text),
            column("course", ColumnType::Text),
            column("seat", ColumnType::BigInt),
            column("price", ColumnType::Decimal(9, 2)),
            column("day", ColumnType::Date),
            column("open", ColumnType::Boolean),
            column("other", ColumnType::Integer),
        ]),
        kind: Some("kind".to_owned()),
        tags: ["course", "seat", "price", "day", "open"].map(str::to_owned).into(),
        ..StreamDefinition::schema_free("s", 1)
    }
}

fn check(value: &str, kind: Option<&str>, tags: &[&str]) {
    let facets = ColumnFacets::of(&stream(), &Schemas::default())
        .expect("it has tags")
        .read(None, Some(value.as_bytes()));
    let found: Vec<&str> = facets.tags.iter().map(String::as_str).collect();
    assert_eq!((facets.kind.as_deref(), found.as_slice()), (kind, tags), "{value}");
}

#[test]
fn a_value_has_one_text() {
    check(r#"{"kind":"opened","course":"c1"}"#, Some("opened"), &["course:c1"]);
    check(r#"{"seat":7}"#, None, &["seat:7"]);
    check(r#"{"seat":"7"}"#, None, &["seat:7"]);
    check(r#"{"seat":70e-1}"#, None, &["seat:7"]);
    check(r#"{"seat":-0}"#, None, &["seat:0"]);
    check(r#"{"seat":9223372036854775807}"#, None, &["seat:9223372036854775807"]);
    check(r#"{"price":7}"#, None, &["price:7.00"]);
    check(r#"{"price":"-0.05"}"#, None, &["price:-0.05"]);
    check(r#"{"price":1234567.8}"#, None, &["price:1234567.80"]);
    check(
        r#"{"day":"2025-11-23","open":true}"#,
        None,
        &["day:2025-11-23", "open:true"],
    );
    check(r#"{"course":"a\u00e9\n","cours\u0065":"b:c"}"#, None, &["course:b:c"]);
    check(r#"{"course":"\u00e9\"\n"}"#, None, &["course:é\"\n"]);
    check(r#"{"course":""}"#, None, &["course:"]);
    check(
        r#"{"open":false,"course":"x","kind":"k"}"#,
        Some("k"),
        &["course:x", "open:false"],
    );
}

#[test]
fn what_is_missing_or_cannot_be_read_has_no_facets() {
    check("{}", None, &[]);
    check(r#"{"course":null,"kind":null}"#, None, &[]);
    // A column that nobody asked for may hold anything.
    check(r#"{"course":"c1","other":"no number"}"#, None, &["course:c1"]);
    for unreadable in [
        r#"{"course":"c1","seat":1.5}"#,
        r#"{"course":"c1","seat":9223372036854775808}"#,
        r#"{"course":"c1","seat":"x"}"#,
        r#"{"course":"c1","price":1.005}"#,
        r#"{"course":"c1","day":"2025-02-30"}"#,
        r#"{"course":"c1","open":"true"}"#,
        r#"{"course":7}"#,
        r#"{"course":"\ud800"}"#,
        r#"{"course":"c1""#,
        r#"{"course":"c1"} x"#,
        "[]",
        "",
    ] {
        check(unreadable, None, &[]);
    }
    let facets = ColumnFacets::of(&stream(), &Schemas::default()).expect("it has tags");
    assert_eq!(facets.read(None, None), EventFacets::default());
    assert_eq!(facets.read(None, Some(b"\xff")), EventFacets::default());
}

#[test]
fn the_fingerprint_follows_the_columns() {
    let print = |change: fn(&mut StreamDefinition)| {
        let mut definition = stream();
        change(&mut definition);
        ColumnFacets::of(&definition, &Schemas::default())
            .expect("it has tags")
            .fingerprint()
    };
    let first = print(|_| {});
    assert_eq!(first, print(|definition| definition.partitions = 9));
    assert_ne!(first, print(|definition| definition.kind = None));
    assert_ne!(first, print(|definition| definition.tags.truncate(4)));
}

#[test]
fn a_missing_column_has_its_default() {
    let mut definition = stream();
    for column in definition.columns.iter_mut().flatten() {
        column.default = match column.name.as_str() {
            "kind" => Some("\"opened\"".to_owned()),
            "price" => Some("7".to_owned()),
            _ => None,
        };
    }
    let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has tags");
    let check = |value: &str, kind: Option<&str>, tags: &[&str]| {
        let found = facets.read(None, Some(value.as_bytes()));
        let expected = tags.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(
            found,
            EventFacets {
                kind: kind.map(str::to_owned),
                tags: expected,
                keys: Vec::new(),
            },
            "{value}"
        );
    };
    check("{}", Some("opened"), &["price:7.00"]);
    check(r#"{"kind":null,"price":8}"#, None, &["price:8.00"]);
}

#[test]
fn the_column_of_the_key_is_told_where_the_key_is_another() {
    let check = |column: &str, key: Option<&str>, value: &str, expected: Option<&str>| {
        let definition = StreamDefinition {
            key: vec![column.to_owned()],
            kind: None,
            tags: Vec::new(),
            ..stream()
        };
        let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
        assert!(!facets.has_tags());
        let found = facets.read(key.map(str::as_bytes), Some(value.as_bytes()));
        assert_eq!((found.kind, found.tags), (None, Vec::new()));
        assert_eq!(
            found.keys.first().map(String::as_str),
            expected,
            "{column} {key:?} {value}"
        );
    };
    check("course", Some("c1"), r#"{"course":"c1"}"#, None);
    check("course", Some("c2"), r#"{"course":"c1"}"#, Some("c1"));
    check("course", None, r#"{"course":"c1"}"#, Some("c1"));
    check("course", Some("c1"), "{}", None);
    check("seat", Some("7"), r#"{"seat":"7.0"}"#, None);
    check("seat", Some("7.0"), r#"{"seat":7.0}"#, Some("7"));
    check("price", Some("7"), r#"{"price":7}"#, Some("7.00"));
}

#[test]
fn the_columns_of_a_key_of_several_are_told_where_the_key_is_another() {
    let check = |key: Option<&str>, value: &str, expected: Option<&str>| {
        let definition = StreamDefinition {
            key: ["seat", "course", "day"].map(str::to_owned).into(),
            kind: None,
            tags: Vec::new(),
            ..stream()
        };
        let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
        let found = facets.read(key.map(str::as_bytes), Some(value.as_bytes()));
        assert_eq!(found.keys.first().map(String::as_str), expected, "{key:?} {value}");
    };
    let value = r#"{"course":"c\"1","seat":"7.0","day":"2025-11-23"}"#;
    check(Some(r#"[7,"c\"1","2025-11-23"]"#), value, None);
    let told = r#"[7,"c\"1","2025-11-23"]"#;
    check(Some(r#"[7.0,"c\"1","2025-11-23"]"#), value, Some(told));
    check(None, value, Some(told));
    check(None, r#"{"course":"c1","seat":7}"#, None);
    check(None, r#"{"course":"c1","seat":7.5,"day":"2025-11-23"}"#, None);
    // By what has several texts nothing is found.
    let of_floats = StreamDefinition {
        columns: Some(vec![
            Column::new("a", ColumnType::Text, true),
            Column::new("b", ColumnType::Double, true),
        ]),
        key: vec!["a".to_owned(), "b".to_owned()],
        ..StreamDefinition::schema_free("s", 1)
    };
    assert_eq!(ColumnFacets::of(&of_floats, &Schemas::default()), None);
}

#[test]
fn only_columns_that_are_as_ever_are_promised() {
    let check = |change: &dyn Fn(&mut StreamDefinition), expected: &[&str]| {
        let mut definition = StreamDefinition {
            key: vec!["course".to_owned()],
            tags: vec!["seat".to_owned()],
            ..stream()
        };
        change(&mut definition);
        let found = found_by(&definition);
        let found: Vec<String> = found.iter().map(FoundBy::name).collect();
        assert_eq!(found, expected);
    };
    let earlier = |change: &dyn Fn(&mut Vec<Column>)| {
        let mut columns = stream().columns.unwrap_or_default();
        change(&mut columns);
        Arc::new(EarlierSchema {
            columns: Some(columns),
            until: Vec::new(),
            upcaster: None,
            statement: String::new(),
        })
    };
    check(&|_| {}, &["seat", "course"]);
    let of_several = |definition: &mut StreamDefinition| definition.key.push("seat".to_owned());
    check(&of_several, &["seat", "course,seat"]);
    let unread = |columns: &mut Vec<Column>| columns.retain(|column| column.name != "other");
    check(
        &|definition| definition.earlier.push(earlier(&unread)),
        &["seat", "course"],
    );
    let missing = |columns: &mut Vec<Column>| columns.retain(|column| column.name != "seat");
    // A tag was not there: the key was.
    check(&|definition| definition.earlier.push(earlier(&missing)), &["course"]);
    let narrower = |columns: &mut Vec<Column>| columns[2].column_type = ColumnType::Integer;
    check(&|definition| definition.earlier.push(earlier(&narrower)), &["course"]);
    let other_default = |columns: &mut Vec<Column>| columns[1].default = Some("\"c\"".to_owned());
    check(
        &|definition| definition.earlier.push(earlier(&other_default)),
        &["seat"],
    );
    let renamed = |definition: &mut StreamDefinition| {
        definition
            .earlier
            .push(earlier(&|columns| columns[1].name = "lesson".to_owned()));
        let column = &mut definition.columns.as_mut().expect("it has columns")[1];
        column.former = vec![FormerName {
            name: "lesson".to_owned(),
            until: 1,
        }];
    };
    check(&renamed, &["seat", "course"]);
    // Records without names are read by the places of their fields.
    let shifted = |columns: &mut Vec<Column>| columns.insert(0, Column::new("gone", ColumnType::Text, true));
    let of_records = |definition: &mut StreamDefinition| {
        definition.format = Format::Csv { delimiter: ',' };
        definition.earlier.push(earlier(&unread));
    };
    check(&of_records, &["seat", "course"]);
    let of_shifted_records = |definition: &mut StreamDefinition| {
        definition.format = Format::Csv { delimiter: ',' };
        definition.earlier.push(earlier(&shifted));
    };
    check(&of_shifted_records, &[]);
}

#[test]
fn a_key_that_was_renamed_is_told_by_every_name_it_had() {
    let mut definition = StreamDefinition {
        key: vec!["course".to_owned()],
        kind: None,
        tags: Vec::new(),
        ..stream()
    };
    definition.earlier.push(Arc::new(EarlierSchema {
        columns: definition.columns.clone(),
        until: vec![9],
        upcaster: None,
        statement: String::new(),
    }));
    let column = &mut definition.columns.as_mut().expect("it has columns")[1];
    column.former = vec![FormerName {
        name: "lesson".to_owned(),
        until: 1,
    }];
    let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
    let check = |key: Option<&str>, value: &str, expected: &[&str]| {
        let found = facets.read(key.map(str::as_bytes), Some(value.as_bytes()));
        assert_eq!(found.keys, expected, "{key:?} {value}");
    };
    check(Some("k"), r#"{"lesson":"c1"}"#, &["c1"]);
    check(Some("k"), r#"{"course":"c1"}"#, &["c1"]);
    check(Some("c1"), r#"{"course":"c1"}"#, &[]);
    check(Some("k"), r#"{"course":"c1","lesson":"c2"}"#, &["c1", "c2"]);
    check(Some("c2"), r#"{"course":"c1","lesson":"c2"}"#, &["c1"]);
    check(Some("k"), r#"{"course":7,"lesson":"c2"}"#, &["c2"]);
}

#[test]
fn a_key_is_told_though_a_tag_does_not_fit() {
    let definition = StreamDefinition {
        key: vec!["course".to_owned()],
        kind: None,
        tags: vec!["seat".to_owned()],
        ..stream()
    };
    let facets = ColumnFacets::of(&definition, &Schemas::default()).expect("it has a key");
    let found = facets.read(None, Some(br#"{"course":"c1","seat":"x"}"#));
    assert_eq!((found.keys, found.tags), (vec!["c1".to_owned()], Vec::new()));
}

#[test]
fn one_column_may_be_kind_and_tag() {
    let definition = StreamDefinition {
        tags: vec!["kind".to_owned()],
        ..stream()
    };
    let facets = ColumnFacets::of(&definition, &Schemas::default())
        .expect("it has tags")
        .read(None, Some(br#"{"kind":"k"}"#));
    assert_eq!(
        (facets.kind.as_deref(), facets.tags.as_slice()),
        (Some("k"), ["kind:k".to_owned()].as_slice())
    );
    let plain = StreamDefinition {
        tags: Vec::new(),
        kind: None,
        ..stream()
    };
    assert_eq!(ColumnFacets::of(&plain, &Schemas::default()), None);
}

//! Tables of changes: the columns after them, or why not.

use super::*;

/// `a INTEGER NOT NULL, b TEXT` as columns.
fn columns(text: &str) -> Vec<Column> {
    text.split(", ")
        .map(|text| {
            let (text, default) = match text.split_once(" DEFAULT ") {
                Some((text, default)) => (text, Some(default.to_owned())),
                None => (text, None),
            };
            let (text, nullable) = match text.strip_suffix(" NOT NULL") {
                Some(text) => (text, false),
                None => (text, true),
            };
            let (name, column_type) = text.split_once(' ').expect("a name and a type");
            Column {
                default,
                ..Column::new(name, of_text(column_type), nullable)
            }
        })
        .collect()
}

fn of_text(text: &str) -> ColumnType {
    use ColumnType::*;
    let known = [
        Boolean,
        Integer,
        BigInt,
        Real,
        Double,
        Text,
        Bytes,
        Date,
        Timestamp,
        TimestampTz,
        Json,
        Decimal(9, 0),
        Decimal(10, 0),
        Decimal(12, 2),
        Decimal(12, 3),
        Decimal(19, 0),
        Decimal(20, 2),
        Decimal(21, 2),
    ];
    let found = known.into_iter().find(|column_type| column_type.to_string() == text);
    found.unwrap_or_else(|| panic!("no type {text}"))
}

fn stream() -> StreamDefinition {
    StreamDefinition {
        name: "s".to_owned(),
        columns: Some(columns(
            "id TEXT NOT NULL, n INTEGER, d DATE, t TEXT, k TEXT, price DECIMAL(12,2)",
        )),
        key: vec!["id".to_owned()],
        time: Some("d".to_owned()),
        tags: vec!["t".to_owned()],
        kind: Some("k".to_owned()),
        partitions: 2,
        ..StreamDefinition::default()
    }
}

fn standing() -> Standing {
    Standing {
        starts: vec![0, 0],
        ends: vec![5, 0],
        is_parked: false,
    }
}

/// `ADD a INTEGER`, `DROP a`, `RENAME a TO b`, `TYPE a BIGINT`, `OPTIONAL a`, `UPCAST 1 INTO columns`, `UPCAST 1`.
fn change(text: &str) -> SchemaChange {
    let (word, rest) = text.split_once(' ').expect("a change");
    match word {
        "ADD" => SchemaChange::Add {
            column: columns(rest.trim_start_matches("? ")).remove(0),
            if_not_exists: rest.starts_with("? "),
        },
        "DROP" => SchemaChange::Drop {
            column: rest.trim_start_matches("? ").to_owned(),
            if_exists: rest.starts_with("? "),
        },
        "RENAME" => {
            let (from, to) = rest.split_once(" TO ").expect("two names");
            SchemaChange::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            }
        }
        "TYPE" => {
            let (column, to) = rest.split_once(' ').expect("a name and a type");
            SchemaChange::Widen {
                column: column.to_owned(),
                to: of_text(to),
            }
        }
        "OPTIONAL" => SchemaChange::Optional {
            column: rest.to_owned(),
        },
        _ => {
            let (from, into) = match rest.split_once(" INTO ") {
                Some((from, into)) => (from, Some(columns(into))),
                None => (rest, None),
            };
            SchemaChange::Upcast(Upcasting {
                from: from.parse().expect("a version"),
                query: "SELECT …".to_owned(),
                columns: into,
            })
        }
    }
}

fn after(changes: &[&str]) -> Result<StreamDefinition, CatalogError> {
    let mut stream = stream();
    for text in changes {
        stream = altered(&stream, &[change(text)], text, &standing())?.unwrap_or(stream);
    }
    Ok(stream)
}

/// One change after another: version, reading and columns that come of it, or a part of the error of the last.
fn check(changes: &[&str], expected: Result<&str, &str>) {
    match (after(changes), expected) {
        (Ok(stream), Ok(expected)) => {
            let columns: Vec<String> = stream.columns.iter().flatten().map(Column::to_string).collect();
            let found = format!("{}/{}: {}", stream.version(), stream.reading, columns.join(", "));
            assert_eq!(found, expected, "{changes:?}");
        }
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{changes:?}: {error}"),
        (found, expected) => panic!("{changes:?}: {found:?}, expected {expected:?}"),
    }
}

const BEFORE: &str = "id TEXT NOT NULL, n INTEGER, d DATE, t TEXT, k TEXT, price DECIMAL(12,2)";

fn with(added: &str) -> String {
    format!("2/0: {BEFORE}, {added}")
}

#[test]
fn columns_are_added() {
    check(&["ADD c INTEGER"], Ok(&with("c INTEGER")));
    check(
        &["ADD c INTEGER NOT NULL DEFAULT 7"],
        Ok(&with("c INTEGER NOT NULL DEFAULT 7")),
    );
    check(&["ADD c TEXT DEFAULT \"it's\""], Ok(&with("c TEXT DEFAULT 'it''s'")));
    check(&["ADD c INTEGER NOT NULL"], Err("say what they read with DEFAULT"));
    check(&["ADD n INTEGER"], Err("has a column 'n' already"));
    check(&["ADD ? n INTEGER"], Ok(&format!("1/0: {BEFORE}")));
    check(&["ADD c INTEGER", "ADD ? c TEXT"], Ok(&with("c INTEGER")));
}

#[test]
fn a_name_that_events_hold_something_else_by_is_not_given_again() {
    check(
        &["RENAME n TO number", "ADD n INTEGER"],
        Err("hold the values of column 'number' in a field 'n'"),
    );
    check(
        &["DROP price", "ADD price INTEGER"],
        Err("events of version 1 hold the values of a column 'price' that was dropped"),
    );
    check(&["DROP price", "RENAME n TO price"], Err("that was dropped"));
    check(&["RENAME n TO price"], Err("has a column 'price' already"));
    check(
        &["RENAME n TO number", "RENAME number TO n"],
        Ok(&format!("3/0: {BEFORE}")),
    );
    // Behind an upcaster nothing is read by its old name any more.
    check(
        &[
            "DROP price",
            "UPCAST 2 INTO id TEXT NOT NULL, d DATE, t TEXT, k TEXT",
            "ADD price INTEGER",
        ],
        Ok("4/1: id TEXT NOT NULL, d DATE, t TEXT, k TEXT, price INTEGER"),
    );
}

#[test]
fn columns_go_and_are_renamed_unless_events_are_found_by_them() {
    check(
        &["DROP n"],
        Ok("2/0: id TEXT NOT NULL, d DATE, t TEXT, k TEXT, price DECIMAL(12,2)"),
    );
    check(
        &["DROP x"],
        Err("has no column 'x': its columns are id, n, d, t, k, price"),
    );
    check(&["DROP ? x"], Ok(&format!("1/0: {BEFORE}")));
    check(&["DROP id"], Err("named by its KEY"));
    check(&["DROP d"], Err("named by its TIME"));
    check(&["DROP t"], Err("named by its TAGS"));
    check(&["DROP k"], Err("named by its KIND"));
    check(&["RENAME t TO u"], Err("named by its TAGS"));
    check(&["RENAME k TO u"], Err("named by its KIND"));
    check(&["RENAME x TO y"], Err("has no column 'x'"));
    let renamed = after(&["RENAME id TO order_id", "RENAME d TO day"]).expect("both may be renamed");
    assert_eq!(
        (renamed.key, renamed.time),
        (vec!["order_id".to_owned()], Some("day".to_owned()))
    );
}

#[test]
fn types_are_widened_where_every_value_stays_the_same() {
    let check = |from: &str, to: &[&str]| {
        let all = [
            "BOOLEAN",
            "INTEGER",
            "BIGINT",
            "REAL",
            "DOUBLE PRECISION",
            "TEXT",
            "BYTEA",
            "DATE",
            "TIMESTAMP",
            "TIMESTAMPTZ",
            "JSON",
            "DECIMAL(9,0)",
            "DECIMAL(10,0)",
            "DECIMAL(12,2)",
            "DECIMAL(12,3)",
            "DECIMAL(19,0)",
            "DECIMAL(20,2)",
            "DECIMAL(21,2)",
        ];
        let wider: Vec<&str> = all
            .into_iter()
            .filter(|to| is_wider(of_text(from), of_text(to)))
            .collect();
        assert_eq!(wider, to, "{from}");
    };
    check(
        "INTEGER",
        &[
            "BIGINT",
            "DOUBLE PRECISION",
            "DECIMAL(10,0)",
            "DECIMAL(12,2)",
            "DECIMAL(19,0)",
            "DECIMAL(20,2)",
            "DECIMAL(21,2)",
        ],
    );
    check("BIGINT", &["DECIMAL(19,0)", "DECIMAL(21,2)"]);
    check("REAL", &["DOUBLE PRECISION"]);
    check("DOUBLE PRECISION", &[]);
    check("DATE", &["TIMESTAMP", "TIMESTAMPTZ"]);
    check("TIMESTAMP", &["TIMESTAMPTZ"]);
    check("TIMESTAMPTZ", &[]);
    check("DECIMAL(12,2)", &["DECIMAL(12,2)", "DECIMAL(20,2)", "DECIMAL(21,2)"]);
    for from in ["BOOLEAN", "TEXT", "BYTEA", "JSON"] {
        check(from, &[]);
    }
}

#[test]
fn a_type_that_is_not_wider_is_refused_with_the_way_out() {
    check(
        &["TYPE n BIGINT"],
        Ok("2/0: id TEXT NOT NULL, n BIGINT, d DATE, t TEXT, k TEXT, price DECIMAL(12,2)"),
    );
    check(&["TYPE n INTEGER"], Ok(&format!("1/0: {BEFORE}")));
    check(
        &["TYPE n TEXT"],
        Err("ALTER STREAM s UPCAST FROM VERSION 1 AS SELECT …, CAST(n AS TEXT) AS n"),
    );
    check(
        &["TYPE price DECIMAL(9,0)"],
        Err("not every DECIMAL(12,2) is the same as a DECIMAL(9,0)"),
    );
    check(
        &["TYPE d TIMESTAMP"],
        Ok("2/0: id TEXT NOT NULL, n INTEGER, d TIMESTAMP, t TEXT, k TEXT, price DECIMAL(12,2)"),
    );
}

#[test]
fn what_a_key_is_written_as_stays() {
    let keyed = |column: &str, to: &str| {
        let stream = StreamDefinition {
            key: vec![column.to_owned()],
            time: None,
            ..stream()
        };
        altered(&stream, &[change(&format!("TYPE {column} {to}"))], "", &standing()).is_ok()
    };
    assert!(keyed("n", "BIGINT"));
    assert!(keyed("n", "DECIMAL(19,0)"));
    assert!(!keyed("n", "DECIMAL(21,2)"));
    assert!(keyed("price", "DECIMAL(20,2)"));
    assert!(!keyed("d", "TIMESTAMP"));
}

#[test]
fn an_upcaster_ends_a_version_or_is_set_afterwards() {
    let into = "id TEXT NOT NULL, d DATE, t TEXT, k TEXT, total BIGINT";
    let upcast = format!("UPCAST 1 INTO {into}");
    check(&[&upcast], Ok(&format!("2/1: {into}")));
    // The same again is no change: it is known by its statement.
    check(&[&upcast, "UPCAST 1"], Ok(&format!("2/2: {into}")));
    check(
        &["ADD c INTEGER", "UPCAST 1", "UPCAST 1"],
        Ok(&format!("2/1: {BEFORE}, c INTEGER")),
    );
    check(&["UPCAST 2"], Err("has no version 2: its versions are 1 to 1"));
    check(&["UPCAST 0"], Err("has no version 0"));
    check(&["UPCAST 1"], Err("needs its columns"));
    check(&["UPCAST 1 INTO n INTEGER"], Err("'id' is named by its KEY"));
    check(
        &["UPCAST 1 INTO id INTEGER, d DATE, t TEXT, k TEXT"],
        Err("let the upcaster pass it on as it is"),
    );
    check(&["UPCAST 1 INTO id TEXT, t TEXT, k TEXT"], Err("'d' is its TIME"));
    check(
        &["UPCAST 1 INTO id TEXT, d TEXT, t TEXT, k TEXT"],
        Err("'d' is its TIME"),
    );
}

#[test]
fn events_count_as_read_otherwise_where_there_are_such_events() {
    let check = |text: &str, standing: &Standing, expected: u32| {
        let stream = altered(&stream(), &[change(text)], text, standing).expect("it may change");
        assert_eq!(stream.map(|stream| stream.reading), Some(expected), "{text}");
    };
    let parked = Standing {
        is_parked: true,
        ..standing()
    };
    let empty = Standing {
        starts: vec![5, 0],
        ..standing()
    };
    check("ADD c INTEGER", &parked, 0);
    check("RENAME n TO c", &parked, 0);
    check("TYPE n BIGINT", &standing(), 0);
    check("TYPE n BIGINT", &parked, 1);
    check("DROP n", &parked, 1);
    check("OPTIONAL id", &parked, 1);
    check("OPTIONAL id", &standing(), 0);
    check("UPCAST 1 INTO id TEXT, d DATE, t TEXT, k TEXT", &standing(), 1);
    check("UPCAST 1 INTO id TEXT, d DATE, t TEXT, k TEXT", &empty, 0);
}

#[test]
fn several_changes_make_one_version() {
    let changes = [change("ADD a TEXT"), change("RENAME n TO m"), change("TYPE m BIGINT")];
    let stream = altered(&stream(), &changes, "", &standing())
        .expect("they may")
        .expect("they do");
    assert_eq!(
        (stream.version(), stream.earlier[0].until.as_slice()),
        (2, [5, 0].as_slice())
    );
    assert!(
        altered(
            &stream,
            &[change("ADD x TEXT"), change("DROP nothing")],
            "",
            &standing()
        )
        .is_err()
    );
}

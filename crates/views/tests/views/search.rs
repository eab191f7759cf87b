//! Views stored as search: what a query finds is what a filter over the query's rows lets through, whatever came in and wherever the program was
//! killed in between; and what is found are rows as of one position.

use std::path::Path;
use std::sync::Arc;

use headwater_catalog::{ColumnType, SearchField, SearchKind, Shape};
use headwater_views::search::{Connective, Query, SearchImage};
use headwater_views::{View, ViewOptions, ViewSpec, Views};
use proptest::prelude::*;

use crate::ground::{EAGER, Ground, LAZY, assert_same, printed, until};

const PARTITIONS: u32 = 2;

const COLUMNS: [(&str, ColumnType, bool); 8] = [
    ("item", ColumnType::Text, true),
    ("title", ColumnType::Text, true),
    ("kind", ColumnType::Text, true),
    ("price", ColumnType::Decimal(18, 2), true),
    ("n", ColumnType::BigInt, true),
    ("x", ColumnType::Double, true),
    ("day", ColumnType::Date, true),
    ("at", ColumnType::TimestampTz, true),
];

/// `total` needs more than 64 bits, rows come and go with HAVING.
const QUERY: &str = "SELECT item, max(title) AS title, max(kind) AS kind, max(price) AS price, sum(price) AS total, max(n) AS n, max(x) AS x, \
                     max(day) AS day, max(at) AS at FROM s GROUP BY item HAVING sum(n) >= 0 OR sum(n) IS NULL";

fn spec(ground: &Ground, name: &str) -> ViewSpec {
    let mut spec = ground.spec(name, QUERY);
    let field = |(name, kind): (&str, SearchKind)| SearchField {
        name: name.to_owned(),
        kind,
    };
    let fields = [
        ("title", SearchKind::Text(Some("english".to_owned()))),
        ("kind", SearchKind::Keyword),
        ("price", SearchKind::Number),
        ("total", SearchKind::Number),
        ("n", SearchKind::Number),
        ("x", SearchKind::Number),
        ("day", SearchKind::Date),
        ("at", SearchKind::Date),
    ];
    spec.definition.shape = Some(Shape::Search(fields.map(field).to_vec()));
    spec
}

fn start(ground: &Ground, options: &ViewOptions) -> (Views, Arc<View>) {
    let views = ground.views(options);
    let view = views.start(spec(ground, "found")).expect("it starts");
    (views, view)
}

/// The rows that a query finds once the index has everything that was appended, printed and sorted.
fn found(ground: &Ground, view: &View, query: &str) -> Vec<String> {
    let end = ground.end();
    ground.catch_up(view);
    let moment = view.searchable(Some(&end)).expect("a moment");
    assert!(moment.position().covers(&end), "{} is before {end}", moment.position());
    let fields = view.image::<SearchImage>().expect("an index").fields();
    let query = Query::parse(query, fields, Connective::And).expect("a query");
    let hits = moment.find(&query, None).expect("hits");
    printed(&[moment.rows(view, &hits).expect("rows")])
}

fn filtered(ground: &Ground, filter: &str) -> Vec<String> {
    ground.in_batch(&format!("SELECT * FROM ({QUERY}) WHERE {filter}"))
}

fn compare(ground: &Ground, view: &View, pairs: &[(String, String)]) {
    for (query, filter) in pairs {
        assert_same(
            &found(ground, view, query),
            &filtered(ground, filter),
            &format!("{query} is {filter}"),
        );
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(u32, Vec<String>),
    /// The program is killed and started again with other bounds.
    Kill(bool),
    /// It is closed and started again.
    Close(bool),
    Compare(Vec<(String, String)>),
}

fn value() -> impl Strategy<Value = String> {
    let one_of = |name: &'static str, values: &[&'static str]| {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!(",\"{name}\":{value}"))
            .chain([String::new()])
            .collect();
        proptest::sample::select(values)
    };
    let parts = (
        proptest::sample::select(vec!["\"a\"", "\"b\"", "\"c\"", "\"\"", "\"é\"", "null"]),
        one_of("title", &["\"Red scarf\"", "\"Running shoes\"", "\"\"", "\"the <b>\""]),
        one_of("kind", &["\"one\"", "\"One\"", "\"two words\"", "\"\"", "null"]),
        one_of(
            "price",
            &[
                "0.00",
                "-0.01",
                "19.99",
                "9999999999999999.99",
                "-9999999999999999.99",
                "null",
            ],
        ),
        one_of("n", &["0", "-1", "7", "9223372036854775806", "-5"]),
        one_of("x", &["-0.0", "0.0", "0.1", "-2.5", "1e300"]),
        one_of("day", &["\"2025-01-31\"", "\"1969-12-31\"", "\"2024-02-29\""]),
        one_of(
            "at",
            &[
                "\"2025-11-23T10:00:00Z\"",
                "\"2025-11-24T23:59:59.999999+01:00\"",
                "\"1969-12-31T23:59:59Z\"",
            ],
        ),
    );
    parts.prop_map(|(item, title, kind, price, n, x, day, at)| {
        format!("{{\"item\":{item}{title}{kind}{price}{n}{x}{day}{at}}}")
    })
}

/// A query, and the filter that says the same.
fn pair() -> impl Strategy<Value = (String, String)> {
    let column = proptest::sample::select(vec![
        ("kind", vec!["one", "One", "two words", "o", ""]),
        (
            "price",
            vec!["0", "-0.01", "19.99", "19.985", "9999999999999999.99", "1e30"],
        ),
        (
            "total",
            vec!["0", "-0.01", "39.98", "39.975", "19999999999999999.98", "-1e30"],
        ),
        (
            "n",
            vec!["0", "-1", "6.5", "9223372036854775806", "9223372036854775808"],
        ),
        ("x", vec!["0", "0.1", "-2.5", "1e300"]),
        ("day", vec!["2025-01-31", "1970-01-01", "2024-02-29"]),
        (
            "at",
            vec![
                "2025-11-23T10:00:00Z",
                "2025-11-24T22:59:59.999999Z",
                "1970-01-01T00:00:00Z",
            ],
        ),
    ]);
    (
        column,
        any::<proptest::sample::Index>(),
        any::<proptest::sample::Index>(),
        0..8,
    )
        .prop_map(|((column, values), one, other, form)| {
            let (one, other) = (*one.get(&values), *other.get(&values));
            let literal = |value: &str| match column {
                "kind" => format!("'{value}'"),
                "day" => format!("DATE '{value}'"),
                "at" => format!("TIMESTAMP '{value}'"),
                "x" => format!("CAST('{value}' AS DOUBLE)"),
                _ => format!(
                    "CAST('{}' AS DECIMAL(38, 4))",
                    value.replace("e30", "000000000000000000000000000000")
                ),
            };
            let (low, high) = (literal(one), literal(other));
            let written = |value: &str| format!("\"{value}\"");
            let (first, second) = (written(one), written(other));
            match form {
                0 => (format!("{column}:{first}"), format!("{column} = {low}")),
                1 => (
                    format!("{column}:[{first} TO {second}]"),
                    format!("{column} BETWEEN {low} AND {high}"),
                ),
                2 => (
                    format!("{column}:{{{first} TO {second}}}"),
                    format!("{column} > {low} AND {column} < {high}"),
                ),
                3 => (format!("{column}:>={first}"), format!("{column} >= {low}")),
                4 => (
                    format!("-{column}:<{first}"),
                    format!("NOT coalesce({column} < {low}, false)"),
                ),
                5 => (format!("{column}:*"), format!("{column} IS NOT NULL")),
                6 => (
                    format!("{column}:({first} OR >{second})"),
                    format!("{column} = {low} OR {column} > {high}"),
                ),
                _ => (
                    format!("{column}:{first} OR (kind:one -{column}:*)"),
                    format!("{column} = {low} OR (kind = 'one' AND {column} IS NULL)"),
                ),
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PARTITIONS, proptest::collection::vec(value(), 1..20)).prop_map(|(partition, values)| Step::Append(partition, values)),
        1 => any::<bool>().prop_map(Step::Kill),
        1 => any::<bool>().prop_map(Step::Close),
        3 => proptest::collection::vec(pair(), 1..12).prop_map(Step::Compare),
    ]
}

fn options(is_eager: bool) -> ViewOptions {
    if is_eager { EAGER } else { LAZY }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_a_filter_lets_through(first in any::<bool>(), steps in proptest::collection::vec(step(), 2..14), last in proptest::collection::vec(pair(), 8)) {
        let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
        ground.define("found");
        let (mut views, mut view) = start(&ground, &options(first));
        for step in steps {
            match step {
                Step::Append(partition, values) => ground.append(partition, &values.iter().map(String::as_str).collect::<Vec<_>>()),
                Step::Compare(pairs) => compare(&ground, &view, &pairs),
                Step::Kill(is_eager) | Step::Close(is_eager) => {
                    if matches!(step, Step::Close(_)) {
                        views.close();
                    }
                    drop(view);
                    drop(views);
                    (views, view) = start(&ground, &options(is_eager));
                }
            }
        }
        compare(&ground, &view, &last);
        compare(&ground, &view, &[("*".to_owned(), "true".to_owned())]);
        views.close();
    }
}

const RED: &str = r#"{"item":"a","title":"Red scarf","n":1}"#;
const BLUE: &str = r#"{"item":"b","title":"Blue scarf","n":1}"#;
const GONE: &str = r#"{"item":"a","title":"Red scarf","n":-5}"#;

#[test]
fn an_index_that_is_further_than_the_rows_is_searched_once_they_have_got_there() {
    let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
    ground.define("found");
    let (views, view) = start(&ground, &LAZY);
    ground.append(0, &[RED]);
    assert_eq!(found(&ground, &view, "scarf").len(), 1);
    views.close();
    drop((view, views));
    // The rows are put back to where they were; the index stays where it is: a crash between the two commits.
    let kept = ground.dir.path().join("kept");
    copy(&ground.views_dir(), &kept, "");
    let (views, view) = start(&ground, &LAZY);
    ground.append(0, &[GONE, BLUE]);
    assert_eq!(found(&ground, &view, "scarf").len(), 1);
    views.close();
    drop((view, views));
    remove_but(&ground.views_dir(), "search");
    copy(&kept, &ground.views_dir(), "search");
    let (views, view) = start(&ground, &LAZY);
    let position = view.position();
    assert!(view.events_folded() <= 2 && position.get("s", 0) >= 1, "{position}");
    assert_eq!(found(&ground, &view, "*"), filtered(&ground, "true"));
    assert_eq!(
        found(&ground, &view, "scarf"),
        filtered(&ground, "title LIKE '%scarf%'")
    );
    views.close();
}

#[test]
fn a_deleted_index_is_made_anew_from_the_log() {
    let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
    ground.define("found");
    let (views, view) = start(&ground, &LAZY);
    ground.append(0, &[RED, BLUE]);
    assert_eq!(found(&ground, &view, "scarf").len(), 2);
    views.close();
    drop((view, views));
    remove_only(&ground.views_dir(), "search");
    let (views, view) = start(&ground, &LAZY);
    assert_eq!(found(&ground, &view, "scarf").len(), 2);
    assert_eq!(found(&ground, &view, "*"), filtered(&ground, "true"));
    views.close();
}

#[test]
fn changes_are_searchable_within_the_freshness_without_anybody_waiting() {
    let ground = Ground::new(Some(&COLUMNS), PARTITIONS);
    ground.define("found");
    let views = ground.views(&LAZY);
    let mut spec = spec(&ground, "found");
    spec.definition.settings.freshness_ms = Some(20);
    let view = views.start(spec).expect("it starts");
    ground.append(0, &[RED]);
    until("it is committed", || {
        let settled = view.image::<SearchImage>().and_then(SearchImage::settled);
        settled.is_some_and(|moment| moment.position().covers(&ground.end()))
    });
    views.close();
}

/// Copies a folder, but what lies under folders of this name.
fn copy(from: &Path, to: &Path, but: &str) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true if entry.file_name() == but => {}
            true => copy(&entry.path(), &target, but),
            false => drop(std::fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// Removes all files, but those under folders of this name.
fn remove_but(folder: &Path, but: &str) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path().is_dir() {
            true if entry.file_name() == but => {}
            true => remove_but(&entry.path(), but),
            false => std::fs::remove_file(entry.path()).expect("it goes"),
        }
    }
}

/// Removes the folders of this name.
fn remove_only(folder: &Path, name: &str) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path().is_dir() {
            true if entry.file_name() == name => std::fs::remove_dir_all(entry.path()).expect("it goes"),
            true => remove_only(&entry.path(), name),
            false => {}
        }
    }
}

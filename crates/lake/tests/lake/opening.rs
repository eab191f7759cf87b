//! What a table is made of, where it lies, and whose it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_catalog::{Shape, ViewSettings};
use headwater_lake::DeltaLakes;
use headwater_views::ViewError;

use crate::flaky::{Flaky, Trouble};
use crate::ground::{Ground, HISTORY, columnar, totals_of};

pub fn at(location: &std::path::Path) -> Shape {
    Shape::Columnar {
        partitioned_by: Vec::new(),
        location: Some(location.to_str().expect("UTF-8").to_owned()),
    }
}

#[test]
fn a_table_that_finds_no_room_is_made_when_there_is_some() {
    let trouble = Arc::new(Trouble::default());
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::over(Flaky::over(&trouble)).expect("threads"));
    let start = || ground.start(&views, "history", HISTORY, columnar(&[]));
    trouble.is_full.store(true, Ordering::Relaxed);
    trouble.every.store(1, Ordering::Relaxed);
    let refused = start().expect_err("there is no room");
    assert!(
        matches!(&refused, ViewError::Full(why) if why.contains("No space left")),
        "{refused:?}"
    );
    trouble.every.store(0, Ordering::Relaxed);
    let view = start().expect("there is room");
    ground.append(0..10);
    ground.committed(&view);
    assert_eq!(ground.totals(&view).1, totals_of(10));
}

#[test]
fn what_no_table_can_be_is_refused_with_the_part() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let check = |query: &str, shape: Shape, settings: ViewSettings, part: &str| {
        let refused = views.check(&ground.spec("history", query, shape, settings));
        let error = refused.expect_err(query).to_string();
        assert!(error.contains(part), "{query}: {error}");
    };
    let settings = ViewSettings::default;
    check(
        "SELECT n, NULL AS nothing FROM s",
        columnar(&[]),
        settings(),
        "the column 'nothing'",
    );
    check(
        HISTORY,
        columnar(&["day"]),
        settings(),
        "PARTITIONED BY (day), which is no column",
    );
    check(
        "SELECT n FROM s",
        columnar(&["n"]),
        settings(),
        "partitioned by all of its columns",
    );
    check(
        HISTORY,
        at("lake".as_ref()),
        settings(),
        "where the program was started",
    );
    check(HISTORY, Shape::Document, settings(), "a query without GROUP BY");
    check("SELECT n FROM s ORDER BY n", columnar(&[]), settings(), "ORDER BY");
    let brief = ViewSettings {
        keep_versions_ms: Some(59_999),
        ..settings()
    };
    check(HISTORY, columnar(&[]), brief, "keep_versions");
    for every_ms in [0, 9] {
        let often = ViewSettings {
            every_ms: Some(every_ms),
            ..settings()
        };
        check(HISTORY, columnar(&[]), often, "10 ms is the least");
    }
    let enough = ViewSettings {
        every_ms: Some(10),
        keep_versions_ms: Some(60_000),
        ..settings()
    };
    views
        .check(&ground.spec("history", HISTORY, columnar(&[]), enough))
        .expect("a minute is enough");
}

#[test]
fn a_table_at_a_location_stays_there_and_belongs_to_one_view() {
    let ground = Ground::new();
    let place = tempfile::tempdir().expect("a folder");
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground
        .start(&views, "history", HISTORY, at(place.path()))
        .expect("a view");
    ground.append(0..100);
    ground.committed(&view);
    assert!(place.path().join("_delta_log").exists());
    let checked = views.check(&ground.spec("other", HISTORY, at(place.path()), ViewSettings::default()));
    let started = ground.start(&views, "other", HISTORY, at(place.path()));
    for refused in [checked.map(|_| ()), started.map(|_| ())] {
        let error = refused.expect_err("it is another view's").to_string();
        assert!(error.contains("where the table of headwater/history/"), "{error}");
    }
    let own = ground.spec("history", HISTORY, at(place.path()), ViewSettings::default());
    views.check(&own).expect("its own table");
    drop(view);
    views.remove("history");
    ground.append(100..150);
    let view = ground
        .start(&views, "history", HISTORY, at(place.path()))
        .expect("the same view again");
    ground.folded(&view);
    assert_eq!(view.events_folded(), 50, "it goes on where its table stands");
    assert_eq!(ground.totals(&view).1, totals_of(150));
}

#[test]
fn a_new_table_has_a_place_of_its_own() {
    let ground = Ground::new();
    let place = tempfile::tempdir().expect("a folder");
    let own = ground.dir.path();
    let views = ground.views(DeltaLakes::start().expect("threads").apart_from(own));
    let refused = |location: &std::path::Path, part: &str| {
        for name in ["checked", "started"] {
            let made = match name {
                "checked" => views
                    .check(&ground.spec(name, HISTORY, at(location), ViewSettings::default()))
                    .map(|_| ()),
                _ => ground.start(&views, name, HISTORY, at(location)).map(|_| ()),
            };
            let error = made.expect_err("a refusal").to_string();
            assert!(error.contains(part), "{}: {error}", location.display());
        }
    };
    refused(own, "the program keeps its own files");
    refused(&own.join("log"), "the program keeps its own files");
    refused(own.parent().expect("a folder"), "the program keeps its own files");
    let link = place.path().join("link");
    std::os::unix::fs::symlink(own, &link).expect("a link");
    refused(&link.join("lake"), "the program keeps its own files");
    std::fs::remove_file(&link).expect("no link");

    let full = place.path().join("full");
    std::fs::create_dir_all(full.join("sub")).expect("a folder");
    std::fs::write(full.join("sub/report.txt"), "x").expect("a file");
    refused(&full, "no table's, such as sub/report.txt");
    let lake = place.path().join("lake");
    let view = ground.start(&views, "history", HISTORY, at(&lake)).expect("a view");
    refused(&lake.join("orders"), "lies within the table at");
    refused(std::path::Path::new("/proc/no/such"), "cannot be opened");
    ground.append(0..10);
    ground.committed(&view);
}

#[test]
fn a_view_without_a_location_takes_its_table_with_it() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    ground.append(0..10);
    ground.committed(&view);
    let folder = ground.table_folder("history");
    drop(view);
    views.remove("history");
    ground.until("the table has gone", || !folder.exists());
}

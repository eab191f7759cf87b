//! A table as it was, also where other programs commit to it, and where old commits went.

use std::io::Write;
use std::path::{Path, PathBuf};

use headwater_lake::DeltaLakes;
use headwater_records::Position;
use headwater_views::{LakeRows, View};

use crate::ground::{Ground, HISTORY, columnar};

/// The commits of a table, in order.
fn commits(table: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(table.join("_delta_log"))
        .expect("the table's log")
        .flatten();
    let is_commit = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let mut commits: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_commit).collect();
    commits.sort();
    commits
}

/// A commit as another program makes it that changes no row; the commit before it.
fn commit_as_another(table: &Path) -> PathBuf {
    loop {
        let known = commits(table);
        let next = table.join("_delta_log").join(format!("{:020}.json", known.len()));
        // One of the view's may come just now.
        if let Ok(mut file) = std::fs::File::create_new(next) {
            let commit =
                r#"{"commitInfo":{"timestamp":1700000000000,"operation":"OPTIMIZE","operationParameters":{}}}"#;
            file.write_all(commit.as_bytes()).expect("a commit");
            return known.last().expect("a commit before it").clone();
        }
    }
}

/// Where the version stands that a rewind to a position begins with: at most there, and with exactly the rows below. `None`: there is none.
fn check(ground: &Ground, view: &View, at: &Position) -> Option<Position> {
    let version = view.lake_as_of(at).expect("a readable table")?;
    assert!(at.covers(&version.position), "{} is beyond {at}", version.position);
    let rows = LakeRows {
        table: Some(version.rows),
        waiting: Vec::new(),
        schema: view.schema(),
        position: version.position.clone(),
    };
    let events: u64 = version.position.iter().map(|(_, _, next_offset)| next_offset).sum();
    let found = ground.ask(&rows, "SELECT count(*), count(DISTINCT n) FROM t");
    assert_eq!(found, [format!("{events} {events}")], "as of {at}");
    Some(version.position)
}

#[test]
fn commits_of_other_programs_stand_where_the_views_do() {
    let ground = Ground::new();
    let views = ground.views(DeltaLakes::start().expect("threads"));
    let view = ground.start(&views, "history", HISTORY, columnar(&[])).expect("a view");
    let table = ground.table_folder("history");
    let mut stood: Vec<(Position, PathBuf)> = Vec::new();
    for round in 0..6 {
        ground.append(round * 10..(round + 1) * 10);
        ground.committed(&view);
        let last = commit_as_another(&table);
        stood.push((view.position(), last));
    }
    ground.append(60..70);
    ground.committed(&view);
    check(&ground, &view, &Position::new());
    for (at, _) in &stood {
        assert_eq!(check(&ground, &view, at).as_ref(), Some(at));
    }
    // The one that says where the other program's stands is gone: it is no guess that is begun with.
    let (at, commit) = &stood[3];
    std::fs::remove_file(commit).expect("an old commit goes");
    let earlier = check(&ground, &view, at);
    assert_ne!(earlier.as_ref(), Some(at));
    check(&ground, &view, &stood[2].0);
}

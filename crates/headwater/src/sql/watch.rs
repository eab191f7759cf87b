//! On a terminal `headwater sql` stays with the views that its statements have had built: a bar for each, until it is built.
//!
//! The builds are the program's: whoever does not want to wait ends this (Ctrl-C), and they go on.

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use headwater_views::Build;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::explained;
use crate::exit::{Exit, Failure};
use crate::progress::{Bars, Building, LOOK, Outcome};

/// Says how far every view is that is being built, where a statement may have begun one and somebody looks.
pub async fn builds(client: &Client, statements: &str) -> Result<(), Failure> {
    if !begins_builds(statements) || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut bars = Bars::default();
    loop {
        let views = views(client).await?;
        let building: Vec<Building> = views.iter().filter_map(Shown::building).collect();
        for view in bars.show(&building) {
            eprintln!("{}", outcome(&views, &view).said(&view));
        }
        if building.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether statements say anything that views may have to be built for.
fn begins_builds(statements: &str) -> bool {
    let statements = statements.to_ascii_uppercase();
    let is_of_views = statements.contains("MATERIALIZED") || statements.contains("ALTER STREAM");
    is_of_views && (statements.contains("CREATE") || statements.contains("ALTER"))
}

/// What SHOW VIEWS says of a view.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    view: String,
    /// How far its build is, or that of the version that is to take its place; also where that stopped.
    build: Option<Build>,
    stopped: Option<String>,
    build_stopped: Option<String>,
}

async fn views(client: &Client) -> Result<Vec<Shown>, Failure> {
    const SHOW: &str = "SHOW VIEWS";
    let messages = client.simple_query(SHOW).await.map_err(|why| Failure {
        exit: Exit::Failed,
        why: anyhow!(explained(&why, SHOW)),
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Shown::of(|column| row.try_get(column).ok().flatten()),
        _ => None,
    });
    Ok(rows.collect())
}

impl Shown {
    /// From the values of a row by their columns; `None` where the view is a plain one.
    fn of<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Option<Shown> {
        // One that does not run has no position, and only its state says why.
        let is_running = text("position").is_some();
        let stopped = text("stopped").or_else(|| text("state").filter(|_| !is_running));
        let owned = |column: &str| text(column).map(str::to_owned);
        Some(Shown {
            view: owned("name").filter(|_| text("stored_as") != Some("plain"))?,
            build: Shown::build(&text),
            stopped: stopped.map(str::to_owned),
            build_stopped: owned("build_stopped"),
        })
    }

    fn build<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Option<Build> {
        Some(Build {
            folded: text("build_events")?.parse().ok()?,
            events: text("build_events_total")?.parse().ok()?,
            events_per_second: text("build_events_per_second").and_then(|rate| rate.parse().ok()),
        })
    }

    /// The build, where one goes on.
    fn building(&self) -> Option<Building> {
        let build = self.build.filter(|_| self.build_stopped.is_none())?;
        Some(Building {
            view: self.view.clone(),
            build,
        })
    }
}

/// What became of a view that is not being built any more.
fn outcome(views: &[Shown], view: &str) -> Outcome {
    match views.iter().find(|shown| shown.view == view) {
        None => Outcome::Dropped,
        Some(shown) => match (&shown.stopped, &shown.build_stopped) {
            (Some(why), _) => Outcome::Stopped(why.clone()),
            (None, Some(why)) => Outcome::VersionStopped(why.clone()),
            (None, None) => Outcome::Built,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, begins_builds, outcome};

    /// What is said of the view `v` that was being built before, given a row as `column=value; column=value`: how far its build is, or what became of it.
    fn check(row: &str, expected: &str) {
        let cells: Vec<(&str, &str)> = row.split("; ").filter_map(|cell| cell.split_once('=')).collect();
        let text = |column: &str| cells.iter().find(|(name, _)| *name == column).map(|(_, value)| *value);
        let views = Vec::from_iter(Shown::of(text));
        let said = match views.first().and_then(Shown::building) {
            Some(building) => format!("{} of {}", building.build.folded, building.build.events),
            None => outcome(&views, "v").said("v"),
        };
        assert_eq!(said, expected, "{row}");
    }

    #[test]
    fn what_is_shown_of_a_view_says_how_its_build_stands() {
        check("name=v; position=s/0@9; state=running", "built v");
        let build = "build_events=1; build_events_total=2; build_events_per_second=0.5";
        check(&format!("name=v; position=s/0@1; {build}"), "1 of 2");
        // What the state says in words is nobody's business: the view's own version stopped, another is being built.
        check(
            &format!("name=v; position=s/0@1; state=stopped: no room; stopped=no room; {build}"),
            "1 of 2",
        );
        check(
            &format!("name=v; position=s/0@1; stopped=no room; build_stopped=no room; {build}"),
            "v stopped: no room",
        );
        check(
            &format!("name=v; position=s/0@1; build_stopped=no room; {build}"),
            "the new version of v stopped, and the one before it goes on: no room",
        );
        check("name=v; position=s/0@9; stopped=no room", "v stopped: no room");
        check("name=v; state=not running: why", "v stopped: not running: why");
        for gone in [
            "",
            "name=w; position=s/0@9",
            "name=v; stored_as=plain; state=computed when asked",
        ] {
            check(gone, "v is not built any more: it was dropped");
        }
    }

    #[test]
    fn statements_that_may_begin_a_build() {
        let check = |statements: &str, expected: bool| assert_eq!(begins_builds(statements), expected, "{statements}");
        check("alter materialized view v rebuild", true);
        check("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT 1", true);
        check("ALTER STREAM s ADD COLUMN a TEXT", true);
        check("SELECT * FROM v", false);
        check("DROP MATERIALIZED VIEW v", false);
    }
}

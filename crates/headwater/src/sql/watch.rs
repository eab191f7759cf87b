//! On a terminal `headwater sql` stays with the views that its statements have had built: a bar for each, until it is built.
//!
//! The builds are the program's: whoever does not want to wait ends this (Ctrl-C), and they go on.

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use headwater_views::Build;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::explained;
use crate::exit::{Exit, Failure};
use crate::progress::{Bars, Building, LOOK};

/// Says how far every view is that is being built, where a statement may have begun one and somebody looks.
pub async fn builds(client: &Client, statements: &str) -> Result<(), Failure> {
    if !begins_builds(statements) || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut bars = Bars::default();
    loop {
        let building = building(client).await?;
        for view in bars.show(&building) {
            eprintln!("built {view}");
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

async fn building(client: &Client) -> Result<Vec<Building>, Failure> {
    const SHOW: &str = "SHOW VIEWS";
    let messages = client.simple_query(SHOW).await.map_err(|why| Failure {
        exit: Exit::Failed,
        why: anyhow!(explained(&why, SHOW)),
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => building_of(row),
        _ => None,
    });
    Ok(rows.collect())
}

/// What a row of SHOW VIEWS says of a build; `None` where there is none, or it stopped.
fn building_of(row: &SimpleQueryRow) -> Option<Building> {
    let text = |column: &str| row.try_get(column).ok().flatten();
    let build = Build {
        folded: text("build_events")?.parse().ok()?,
        events: text("build_events_total")?.parse().ok()?,
        events_per_second: text("build_events_per_second").and_then(|rate| rate.parse().ok()),
    };
    let has_stopped = text("state").is_some_and(|state| state.contains("stopped"));
    let view = text("name")?.to_owned();
    (!has_stopped).then_some(Building { view, build })
}

#[cfg(test)]
mod tests {
    use super::begins_builds;

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

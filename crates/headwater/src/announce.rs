//! The lines a program starts with: where its doors are, for machines; then what it found, for people.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_catalog::{Catalog, Definition, INTERNAL_PREFIX};
use headwater_eventlog::Recovery;
use indicatif::{BinaryBytes, HumanCount, HumanDuration};

/// A clock that is behind by less than this is the drift that time servers put right.
const CLOCK_BEHIND_US_SAID: i64 = 5_000_000;

/// How many definitions beside the file are named.
const BESIDE_MAX: usize = 20;

/// Writes a line to standard output; a reader that has gone is none of the program's business.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: the program runs on.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What is in the data folder and how it was recovered.
pub fn recovery(data: &Path, recovery: &Recovery) -> Vec<String> {
    let mut line = format!("data      {}: ", data.display());
    match recovery.journal_bytes {
        0 => line.push_str("nothing to recover"),
        bytes => line.push_str(&format!(
            "{} of journal read, {} batches replayed",
            BinaryBytes(bytes),
            HumanCount(recovery.batches_replayed)
        )),
    }
    if recovery.tail_bytes_cut > 0 {
        line.push_str(&format!(
            ", {} of an unfinished write cut off",
            BinaryBytes(recovery.tail_bytes_cut)
        ));
    }
    let mut lines = vec![line];
    lines.extend(clock(recovery.clock_behind_us).map(|what| format!("CLOCK     {what}")));
    for mended in &recovery.mended {
        lines.push(format!("mended    {mended}"));
    }
    for damage in &recovery.damage {
        lines.push(format!(
            "DAMAGE    {damage}; reading there fails, everything else is whole"
        ));
    }
    lines
}

/// What there is to say of a clock that is behind the last append.
pub fn clock(behind_us: i64) -> Option<String> {
    let behind = Duration::from_micros(behind_us.unsigned_abs());
    (behind_us > CLOCK_BEHIND_US_SAID).then(|| {
        format!(
            "it is {} behind the last append: it went back, or it was ahead then. Append times stand still until it has caught up; nothing is \
             lost. Set it right if it is wrong",
            HumanDuration(behind)
        )
    })
}

/// What is defined, a line for each kind.
pub fn definitions(catalog: &Catalog) -> Vec<String> {
    let all = catalog.all();
    let definitions: Vec<&Definition> = all.iter().map(AsRef::as_ref).collect();
    found(&definitions)
}

/// What is defined and not in the application's file, and how it goes.
pub fn beside(definitions: &[Arc<Definition>], file: &str) -> Option<String> {
    let first = definitions.first()?;
    let named = |definition: &Arc<Definition>| format!("{} {}", definition.noun(), definition.name());
    let mut names: Vec<String> = definitions.iter().take(BESIDE_MAX).map(named).collect();
    if let Some(more @ 1..) = definitions.len().checked_sub(BESIDE_MAX) {
        names.push(format!("{more} more"));
    }
    let way_out = match first.as_ref() {
        Definition::Stream(stream) => format!(
            "DROP STREAM {} by `headwater sql` deletes it with its events",
            stream.name
        ),
        other => format!(
            "DROP {} IF EXISTS {}; at the end of the file removes it",
            other.noun().to_uppercase(),
            other.name()
        ),
    };
    Some(format!(
        "beside    defined and not in {file}: {} ({way_out})",
        names.join(", ")
    ))
}

fn found(definitions: &[&Definition]) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    let mut views: Vec<String> = Vec::new();
    let mut commands: Vec<String> = Vec::new();
    let mut schedules: Vec<String> = Vec::new();
    let mut graphs: Vec<String> = Vec::new();
    for definition in definitions
        .iter()
        .filter(|definition| !definition.name().starts_with(INTERNAL_PREFIX))
    {
        match definition {
            Definition::Stream(stream) => {
                let noun = if stream.partitions == 1 {
                    "partition"
                } else {
                    "partitions"
                };
                let by = if stream.pipeline.is_some() { ", a pipeline" } else { "" };
                streams.push(format!("{} ({} {noun}{by})", stream.name, stream.partitions));
            }
            Definition::View(view) => match &view.shape {
                Some(shape) => views.push(format!("{} ({})", view.name, shape)),
                None => views.push(format!("{} (a saved question)", view.name)),
            },
            Definition::Command(command) => commands.push(command.name.clone()),
            Definition::Schedule(schedule) => schedules.push(schedule.name.clone()),
            Definition::Graph(graph) => graphs.push(graph.name.clone()),
        }
    }
    let line = |noun: &str, names: Vec<String>| match names.is_empty() {
        true => format!("{noun:<9} none"),
        false => format!("{noun:<9} {}", names.join(", ")),
    };
    let mut lines = vec![
        line("streams", streams),
        line("views", views),
        line("commands", commands),
    ];
    if !schedules.is_empty() {
        lines.push(line("schedules", schedules));
    }
    if !graphs.is_empty() {
        lines.push(line("graphs", graphs));
    }
    lines
}

#[cfg(test)]
mod tests {
    use headwater_catalog::{CommandDefinition, Format, Shape, StreamDefinition, ViewDefinition, ViewSettings};

    use super::*;

    #[test]
    fn what_was_recovered_is_said() {
        let check = |what: Recovery, expected: &[&str]| {
            assert_eq!(recovery(Path::new("data"), &what), expected);
        };
        check(Recovery::default(), &["data      data: nothing to recover"]);
        check(
            Recovery {
                journal_bytes: 2048,
                batches_replayed: 1200,
                tail_bytes_cut: 7,
                clock_behind_us: 3_600_000_000,
                mended: vec!["checkpoint: it is missing".to_owned()],
                damage: vec!["bank/0@7".to_owned()],
            },
            &[
                "data      data: 2.00 KiB of journal read, 1,200 batches replayed, 7 B of an unfinished write cut off",
                "CLOCK     it is 60 minutes behind the last append: it went back, or it was ahead then. Append times stand still until it has caught up; \
                 nothing is lost. Set it right if it is wrong",
                "mended    checkpoint: it is missing",
                "DAMAGE    bank/0@7; reading there fails, everything else is whole",
            ],
        );
    }

    #[test]
    fn what_is_not_in_the_file_is_said_with_the_way_out() {
        let command = |name: String| {
            Arc::new(Definition::Command(CommandDefinition {
                name,
                sources: Vec::new(),
                spelled_out: None,
                statement: String::new(),
            }))
        };
        assert_eq!(beside(&[], "app.sql"), None);
        assert_eq!(
            beside(&[command("c".to_owned())], "app.sql").as_deref(),
            Some(
                "beside    defined and not in app.sql: command c (DROP COMMAND IF EXISTS c; at the end of the file removes it)"
            )
        );
        let many: Vec<Arc<Definition>> = (0..22).map(|number| command(format!("c{number}"))).collect();
        let said = beside(&many, "app.sql").expect("a line");
        assert!(
            said.contains("command c19, 2 more (DROP COMMAND IF EXISTS c0;"),
            "{said}"
        );
        let stream = Definition::Stream(StreamDefinition::schema_free("s", 1));
        let said = beside(&[Arc::new(stream)], "app.sql").expect("a line");
        assert!(
            said.contains("stream s (DROP STREAM s by `headwater sql` deletes it with its events)"),
            "{said}"
        );
    }

    #[test]
    fn what_is_defined_is_said() {
        let stream = |name: &str| {
            Definition::Stream(StreamDefinition {
                name: name.to_owned(),
                columns: None,
                key: Vec::new(),
                time: None,
                kind: None,
                tags: Vec::new(),
                partitions: 1,
                format: Format::Json,
                statement: String::new(),
                ..StreamDefinition::default()
            })
        };
        let view = Definition::View(ViewDefinition {
            name: "balances".to_owned(),
            shape: Some(Shape::Document),
            settings: ViewSettings::default(),
            query: String::new(),
            key: Vec::new(),
            sources: Vec::new(),
            spelled_out: None,
            statement: String::new(),
            version: 1,
            before: None,
        });
        let command = Definition::Command(CommandDefinition {
            name: "withdraw".to_owned(),
            sources: Vec::new(),
            spelled_out: None,
            statement: String::new(),
        });
        assert_eq!(
            found(&[&stream("transactions"), &stream("_headwater.catalog"), &view, &command]),
            [
                "streams   transactions (1 partition)",
                "views     balances (document)",
                "commands  withdraw"
            ]
        );
        assert_eq!(found(&[]), ["streams   none", "views     none", "commands  none"]);
    }
}

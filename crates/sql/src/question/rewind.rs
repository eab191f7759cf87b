//! Which table a rewind belongs to, and which positions there are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Spanned, TableAlias, TableFactor, TableFunctionArgs, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use headwater_eventlog::EventLog;
use headwater_records::Position;

use super::sources::{graph_asked, text_argument};
use crate::postgres::stored_name;
use crate::syntax::Rewind;
use crate::{SqlError, SqlState};

/// Renames the table that the rewind belongs to, so that this mention of it can stand for something else than its other mentions.
/// The name it had comes back (the question still calls it so), and of a table function the view or graph that it asks.
pub(super) fn rename(query: &mut Query, rewind: &Rewind, alias: &str) -> Result<(String, Option<String>), SqlError> {
    let mut renamer = Renamer {
        at: rewind.table.start,
        to: alias,
        found: None,
    };
    let _ = query.visit(&mut renamer);
    renamer
        .found
        .ok_or_else(|| SqlError::new(SqlState::SYNTAX, "FOR … AS OF belongs behind the name of a table"))
}

struct Renamer<'a> {
    at: Location,
    to: &'a str,
    found: Option<(String, Option<String>)>,
}

impl VisitorMut for Renamer<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        // Of `schema.table` the rewind knows the place of the last part.
        if !name.0.iter().any(|part| part.span().start == self.at) {
            return ControlFlow::Continue(());
        }
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let Some(last) = parts.last() else {
            return ControlFlow::Continue(());
        };
        if alias.is_none() {
            *alias = Some(TableAlias {
                explicit: true,
                name: (*last).clone(),
                columns: Vec::new(),
                at: None,
            });
        }
        let spelled = stored_name(name);
        let renamed = Ident {
            value: self.to.to_owned(),
            quote_style: None,
            span: last.span,
        };
        let asked = |args: &TableFunctionArgs| graph_asked(name, args).or_else(|| text_argument(args, 0));
        let subject = args.as_ref().and_then(asked);
        self.found = Some((spelled, subject));
        *name = ObjectName(vec![ObjectNamePart::Identifier(renamed)]);
        ControlFlow::Break(())
    }
}

/// Refuses the rewind of a materialized view where events that its rows then are to be made of are gone: those from a position on, up to where it is
/// rewound to. What is left cannot tell the rows as they were.
pub(crate) fn check_whole(
    log: &EventLog,
    view: &str,
    streams: &[String],
    from: &Position,
    at: Option<&Position>,
) -> Result<(), SqlError> {
    for stream in streams {
        let partitions = log.stream(stream).map_or(0, |info| info.partitions);
        for partition in 0..partitions {
            let Some(offsets) = log.offsets(stream, partition) else {
                continue;
            };
            let whole_from = offsets.start.max(offsets.compacted);
            let first = from.get(stream, partition);
            if whole_from <= first || at.is_some_and(|at| at.get(stream, partition) <= first) {
                continue;
            }
            let why = match offsets.start >= offsets.compacted {
                true => "are no longer kept",
                false => "were thinned out by compaction",
            };
            let message = format!(
                "the view '{view}' cannot be rewound: events of {stream}/{partition} below {whole_from} {why}, and its rows came from them too"
            );
            return Err(SqlError::new(SqlState::EXPIRED, message).hint(
                "ask the stream itself as of then, or keep its events (retention = 'forever', cleanup = 'delete')",
            ));
        }
    }
    Ok(())
}

/// How many events there are from one position up to another.
pub(crate) fn length(from: &Position, at: &Position) -> u64 {
    let events = |(stream, partition, end): (&str, u32, u64)| end.saturating_sub(from.get(stream, partition));
    at.iter().map(events).fold(0, u64::saturating_add)
}

/// Refuses to read more events for a rewind than may be.
pub(crate) fn check_length(view: &str, events: u64, events_max: u64) -> Result<(), SqlError> {
    if events <= events_max {
        return Ok(());
    }
    let message =
        format!("to tell what '{view}' was, {events} events would be read, more than the {events_max} that may be");
    Err(SqlError::new(SqlState::TOO_LARGE, message).hint(
        "ask for rows by their whole key over a stream WITH (entities = 'indexed'), or start the program with a larger --rewind-events-max",
    ))
}

/// Refuses a position that speaks of other streams, or of events that are not there; those that went are asked for of an archive.
pub(crate) fn check_position(
    log: &EventLog,
    table: &str,
    streams: &[String],
    position: &Position,
    is_archive: bool,
) -> Result<(), SqlError> {
    let refuse = |message: String| SqlError::new(SqlState::INVALID_TEXT, message);
    for (stream, partition, offset) in position.iter() {
        if !streams.iter().any(|below| below == stream) {
            let error = refuse(format!(
                "'{table}' does not read the stream '{stream}' that the position names"
            ));
            return Err(error.hint(format!("it reads {}", streams.join(", "))));
        }
        let Some(offsets) = log.offsets(stream, partition) else {
            return Err(refuse(format!("the stream '{stream}' has no partition {partition}"))
                .hint("SHOW STREAMS says how many it has"));
        };
        let whole_from = offsets.start.max(offsets.compacted);
        if offset < whole_from && !is_archive {
            let why = match offsets.start >= offsets.compacted {
                true => "lies before the first event that is kept",
                false => "lies among events that compaction has thinned out",
            };
            let message = format!("{stream}/{partition}@{offset} {why}: what the stream held there cannot be told");
            return Err(SqlError::new(SqlState::EXPIRED, message)
                .hint(format!("the earliest position is {stream}/{partition}@{whole_from}")));
        }
        if offset > offsets.stable {
            let (message, end) = match offset > offsets.high_watermark {
                true => ("lies beyond the end of the stream", "it ends at"),
                false => (
                    "lies beyond an open transaction",
                    "until that ends, events are seen up to",
                ),
            };
            let stable = offsets.stable;
            return Err(refuse(format!("{stream}/{partition}@{offset} {message}"))
                .hint(format!("{end} {stream}/{partition}@{stable}")));
        }
    }
    for stream in streams {
        if !position.names(stream) {
            let error = refuse(format!(
                "the position says nothing about the stream '{stream}', which '{table}' reads"
            ));
            return Err(error.hint(format!("add ;{stream}/0@0 for its beginning")));
        }
    }
    Ok(())
}

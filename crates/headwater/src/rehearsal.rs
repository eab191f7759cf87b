//! An application's file, tried on a copy of what is defined, before any of it takes effect: a file with an error changes nothing.
//!
//! ```text
//! the log ── definitions, schemas, streams without their events ──▶ a machine in memory ── the file ──┬─ an error: the start ends
//!                                                                                                    └─ else it is brought in for good
//! ```

use std::collections::BTreeSet;

use anyhow::anyhow;
use headwater_catalog::{CATALOG_STREAM, INTERNAL_PREFIX};
use headwater_eventlog::{Append, EventLog, Part};
use headwater_schemas::SCHEMAS_STREAM;
use headwater_sql::syntax::{Parsed, Statement};
use tokio::runtime::Runtime;

use crate::definitions;
use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::Pieces;
use crate::scratch::Scratch;

/// How many bytes of definitions are copied at a time.
const COPIED_AT_ONCE: usize = 1 << 20;

/// Says what would be wrong if the file were brought in now. Where everything in it is there already word for word, there is nothing to try.
/// Blocking: called outside of a runtime.
pub fn rehearse(pieces: &Pieces, script: &[Parsed], runtime: &Runtime) -> Result<(), Failure> {
    if is_there(pieces, script) {
        return Ok(());
    }
    let scratch = Scratch::over(runtime.handle(), Scratch::now_us(), |log| copy(&pieces.log, log))?;
    // Of pipelines and views the definitions count here, and not their events.
    scratch.pieces.views.hold_pipelines();
    let applied = runtime.block_on(definitions::start(&scratch.pieces, script));
    applied.map_err(|failure| Failure {
        exit: failure.exit,
        why: anyhow!("{failure}; nothing of the file took effect"),
    })
}

/// Whether each statement is that of a definition, or drops what is not there.
fn is_there(pieces: &Pieces, script: &[Parsed]) -> bool {
    let defined = pieces.catalog.all();
    let defined: BTreeSet<&str> = defined.iter().map(|definition| definition.statement()).collect();
    script.iter().all(|parsed| match &parsed.statement {
        Statement::Drop { name, if_exists, .. } => *if_exists && pieces.catalog.get(&name.value).is_none(),
        _ => defined.contains(parsed.text.as_str()),
    })
}

/// What definitions follow from: themselves, the schemas, and which streams there are.
fn copy(from: &EventLog, into: &EventLog) -> Result<(), Failure> {
    for stream in from.streams() {
        let is_copied = [CATALOG_STREAM, SCHEMAS_STREAM].contains(&stream.name.as_str());
        if !is_copied && stream.name.starts_with(INTERNAL_PREFIX) {
            continue;
        }
        let settings = stream.settings.as_ref().clone();
        into.create_stream(&stream.name, stream.partitions, settings)
            .or_exit(Exit::Failed)?;
        if is_copied {
            copy_events(&stream.name, from, into)?;
        }
    }
    Ok(())
}

fn copy_events(stream: &str, from: &EventLog, into: &EventLog) -> Result<(), Failure> {
    let mut at = from.offsets(stream, 0).map_or(0, |offsets| offsets.start);
    loop {
        let stored = from.read(stream, 0, at, COPIED_AT_ONCE).or_exit(Exit::Failed)?;
        let Some(last) = stored.last() else { return Ok(()) };
        at = last.batch.next_offset();
        for stored in stored.into_iter().filter(|stored| stored.batch.event_count() > 0) {
            let part = Part {
                stream: stream.to_owned(),
                partition: 0,
                batch: stored.batch,
            };
            let append = Append {
                parts: vec![part],
                principal: stored.principal.to_string(),
                condition: None,
            };
            into.append_blocking(append).or_exit(Exit::Failed)?;
        }
    }
}

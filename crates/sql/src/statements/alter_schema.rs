//! ALTER STREAM where it changes the schema: the catalog takes it, and every view of the stream is brought along before another event is folded.
//!
//! ```text
//! look: changes, upcasters, readers ── pause folding ── write ── views go on, or are built anew beside ── go on folding
//!                                                  └── no decision rests on the stream's views ──┘
//! ```
//!
//! Invariant: a view folds an event with the schema that the event was written with, or one that came later and reads it as the same row.

use headwater_catalog::{
    Column, Defined, Definition, INTERNAL_PREFIX, SchemaChange, StreamDefinition, Upcasting, ViewDefinition,
};
use headwater_views::decode::StreamDecoder;
use headwater_views::{Followed, ViewSpec};

use super::definition::losses;
use super::definition::replace::{Changing, check_readers};
use super::definition::rewritten::Rewritten;
use super::definition::stars::Stars;
use super::pipelines;
use super::rebuild;
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::question::{upcast, view_spec};
use crate::syntax::{Parsed, Statement};
use crate::{Outcome, Session, SqlError, SqlState};

/// A change of a schema, as it is written.
pub(super) struct Alteration<'a> {
    pub(super) stream: &'a str,
    pub(super) changes: &'a [SchemaChange],
    pub(super) words: &'a str,
}

/// Runs the statement.
pub(crate) async fn alter_schema(inner: &Inner, session: &Session, statement: &Statement) -> Result<Outcome, SqlError> {
    let Statement::AlterSchema {
        name,
        if_exists,
        changes,
        words,
    } = statement
    else {
        return Err(SqlError::new(SqlState::INTERNAL, "this is no ALTER STREAM"));
    };
    let alteration = Alteration {
        stream: &name.value,
        changes,
        words,
    };
    let mut notices: Vec<String> = Vec::new();
    if !(*if_exists && inner.catalog.get(&name.value).is_none()) {
        notices = change(inner, session, &alteration, &Rewritten::nothing()).await?.1;
    }
    Ok(Outcome::Told {
        tag: "ALTER STREAM".to_owned(),
        notices,
    })
}

/// Changes the schema; what became of the stream's views is said. `rewritten` are the definitions that are about to be written anew after it.
pub(super) async fn change(
    inner: &Inner,
    session: &Session,
    alteration: &Alteration<'_>,
    rewritten: &Rewritten<'_>,
) -> Result<(Defined, Vec<String>), SqlError> {
    let Alteration { stream, words, .. } = *alteration;
    if stream.starts_with(INTERNAL_PREFIX) {
        let message = format!("'{stream}' belongs to the program itself and cannot be altered");
        return Err(SqlError::new(SqlState::NOT_ALLOWED, message));
    }
    let _defining = inner.defining.lock().await;
    let old = inner
        .catalog
        .stream(stream)
        .ok_or_else(|| inner.unknown_table(stream))?;
    if old.pipeline.is_some() {
        let message = format!("the columns of '{stream}' are those of its pipeline's query");
        return Err(SqlError::new(SqlState::NOT_ALLOWED, message).hint(format!(
            "change the query: CREATE OR REPLACE STREAM {stream} … AS SELECT …"
        )));
    }
    let changes = settled(inner, &old, alteration)?;
    let readers = materialized(inner, stream);
    let is_parked = has_parked(inner, &readers);
    let Some(new) = inner.catalog.schema_after(stream, &changes, words, is_parked)? else {
        return Ok((Defined::Unchanged, Vec::new()));
    };
    upcast::decoder(inner, &new)?;
    if let [SchemaChange::Upcast(upcasting)] = changes.as_slice() {
        upcast::check_known(inner, &new, upcasting)?;
    }
    check_stream_readers(inner, &old, &new, rewritten)?;
    losses::check_readers(inner, &new, &but(readers, rewritten))?;
    let stars = Stars::of_today(inner);
    let (defined, mut notices) = under_pause(inner, stream, rewritten, async |is_parked| {
        let catalog = &inner.catalog;
        let altered = catalog.alter_schema(stream, changes, words, is_parked, &session.principal);
        Ok(altered.await?)
    })
    .await?;
    notices.extend(stars.notices(inner, rewritten));
    Ok((defined, notices))
}

/// Whether a file's statement has been applied before: it stands in the stream's history as often as in the file up to here. An upcaster that another one
/// further down took the place of has been, too.
pub(super) fn was_said(inner: &Inner, alteration: &Alteration<'_>, before: &[Parsed], after: &[Parsed]) -> bool {
    let Some(stream) = inner.catalog.stream(alteration.stream) else {
        return false;
    };
    if let [SchemaChange::Upcast(upcasting)] = alteration.changes {
        let is_there = |words: &str| upcaster_statement(&stream, upcasting) == Some(words);
        let takes_its_place = |parsed: &Parsed| match &parsed.statement {
            Statement::AlterSchema {
                name, changes, words, ..
            } => {
                let of_it = matches!(changes.as_slice(), [SchemaChange::Upcast(other)] if other.from == upcasting.from);
                name.value == alteration.stream && of_it && is_there(words)
            }
            _ => false,
        };
        return is_there(alteration.words) || after.iter().any(takes_its_place);
    }
    let is_same = |parsed: &&Parsed| matches!(&parsed.statement, Statement::AlterSchema { words, .. } if words == alteration.words);
    let in_file = before.iter().filter(is_same).count();
    let in_history = stream
        .earlier
        .iter()
        .filter(|schema| schema.statement == alteration.words);
    in_history.count() > in_file
}

fn upcaster_statement<'a>(stream: &'a StreamDefinition, upcasting: &Upcasting) -> Option<&'a str> {
    let earlier = stream.earlier.get((upcasting.from as usize).checked_sub(1)?)?;
    Some(&earlier.upcaster.as_ref()?.statement)
}

/// The changes with what only the stream can tell: the columns that an upcaster of the newest version makes.
fn settled(
    inner: &Inner,
    stream: &StreamDefinition,
    alteration: &Alteration<'_>,
) -> Result<Vec<SchemaChange>, SqlError> {
    let mut changes = alteration.changes.to_vec();
    let [SchemaChange::Upcast(upcasting)] = changes.as_mut_slice() else {
        return Ok(changes);
    };
    let newest = stream.version();
    if upcasting.from == newest && upcasting.columns.is_none() {
        let given: Vec<Column> = upcast::columns_given(inner, stream, &upcasting.query)?;
        upcasting.columns = Some(given);
    } else if upcasting.from < newest
        && upcasting.columns.is_some()
        && upcaster_statement(stream, upcasting) != Some(alteration.words)
    {
        let message = format!(
            "TO (…) names the columns of a new version, and version {} of stream '{}' is there",
            upcasting.from.saturating_add(1),
            stream.name
        );
        let hint = format!("leave TO (…) out, or say FROM VERSION {newest}");
        return Err(SqlError::new(SqlState::INVALID_DEFINITION, message).hint(hint));
    }
    Ok(changes)
}

/// Refuses to take from views and commands what they read of a stream.
pub(super) fn check_stream_readers(
    inner: &Inner,
    old: &StreamDefinition,
    new: &StreamDefinition,
    rewritten: &Rewritten<'_>,
) -> Result<(), SqlError> {
    let changing = Changing {
        noun: "stream",
        name: &old.name,
        old: StreamDecoder::new(old).schema(),
        new: StreamDecoder::new(new).schema(),
    };
    check_readers(inner, &changing, rewritten)
}

/// Makes a change of a stream's definition while nothing is folded from it, and brings its views along. The change is told whether any of the
/// stream's events is known that does not fit. What became of the views is said.
pub(super) async fn under_pause(
    inner: &Inner,
    stream: &str,
    rewritten: &Rewritten<'_>,
    change: impl AsyncFnOnce(bool) -> Result<Defined, SqlError>,
) -> Result<(Defined, Vec<String>), SqlError> {
    let views = inner.views.clone();
    let name = stream.to_owned();
    let paused = off_thread(move || Ok::<_, SqlError>(views.pause(&name))).await?;
    let readers = materialized(inner, stream);
    let is_parked = has_parked(inner, &readers);
    let resting = pipelines::rest(inner, stream).await?;
    // No decision rests on these views until it is known which of them go on.
    let doubt = inner.views.doubt(stream);
    let defined = {
        // Nor on the stream itself.
        let _altering = inner.altering.begin(stream);
        change(is_parked).await
    };
    let (mut notices, mut rebuilt): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut running: Vec<&String> = Vec::new();
    for pipeline in &resting {
        match pipelines::bring_along(inner, pipeline).await {
            Some(notice) => notices.push(notice),
            None => running.push(pipeline),
        }
    }
    let defined = defined?;
    if defined == Defined::Replaced {
        for view in &readers {
            let (followed, notice) = bring_along(inner, view, rewritten.contains(&view.name)).await;
            if followed == Some(Followed::Rebuilt) {
                rebuilt.push(view.name.clone());
            }
            notices.push(notice);
        }
        for pipeline in running {
            let outgrown = pipelines::outgrown(inner, pipeline);
            notices
                .extend(outgrown.unwrap_or_else(|error| Some(format!("the pipeline '{pipeline}': {}", error.message))));
        }
    }
    drop(doubt);
    drop(paused);
    let views = inner.views.clone();
    off_thread(move || {
        views.settle(&rebuilt);
        Ok::<_, SqlError>(())
    })
    .await?;
    Ok((defined, notices))
}

/// Whether any of the views parked an event.
pub(super) fn has_parked(inner: &Inner, views: &[ViewDefinition]) -> bool {
    let running = views.iter().filter_map(|view| inner.views.get(&view.name));
    running.map(|view| view.status().parked).any(|parked| parked > 0)
}

/// The views that are not about to be written anew.
pub(super) fn but(views: Vec<ViewDefinition>, rewritten: &Rewritten<'_>) -> Vec<ViewDefinition> {
    let stays = |view: &ViewDefinition| !rewritten.contains(&view.name);
    views.into_iter().filter(stays).collect()
}

/// The materialized views over a stream.
pub(super) fn materialized(inner: &Inner, stream: &str) -> Vec<ViewDefinition> {
    let all = inner.catalog.all();
    let over = |definition: &Definition| match definition {
        Definition::View(view) if view.shape.is_some() && view.sources.iter().any(|source| source == stream) => {
            Some(view.clone())
        }
        _ => None,
    };
    all.iter().filter_map(|definition| over(definition)).collect()
}

/// Lets a view follow its stream's schema, and says what became of it. One that cannot read it any more stands still where it `is_rewritten`, that is
/// about to be written anew, and stops where nobody is known to do that.
async fn bring_along(inner: &Inner, view: &ViewDefinition, is_rewritten: bool) -> (Option<Followed>, String) {
    let name = view.name.as_str();
    let followed = match view_spec(inner, view) {
        Ok(spec) => follow(inner, spec).await,
        Err(error) => Err(error),
    };
    let (followed, notice) = match followed {
        Ok(Followed::GoesOn) => (
            Some(Followed::GoesOn),
            format!("the view '{name}' goes on: its rows are what they would be"),
        ),
        Ok(Followed::Rebuilt) => {
            let mut notices = vec![format!(
                "the view '{name}' is built anew; SHOW VIEWS says how far it is, and until then it answers as of the change"
            )];
            let without = view_spec(inner, view).and_then(|spec| rebuild::without(inner, &spec));
            notices.extend(without.unwrap_or_default());
            (Some(Followed::Rebuilt), notices.join("; "))
        }
        Err(error) if is_rewritten => {
            inner.views.freeze(name);
            let why = error.message;
            (
                None,
                format!("the view '{name}' stands still until it is written anew: {why}"),
            )
        }
        Err(error) => {
            let why = format!("it stands still until it is written anew, as its stream was altered: {error}");
            let (views, stopping, said) = (inner.views.clone(), name.to_owned(), why.clone());
            let stopped = off_thread(move || {
                views.stop(&stopping, &said);
                Ok::<_, SqlError>(())
            });
            if let Err(error) = stopped.await {
                tracing::warn!("the view '{name}' was not stopped: {error}");
            }
            (None, format!("the view '{name}': {why}"))
        }
    };
    tracing::info!("{notice}");
    (followed, notice)
}

async fn follow(inner: &Inner, spec: ViewSpec) -> Result<Followed, SqlError> {
    let views = inner.views.clone();
    off_thread(move || views.follow_schema(&spec)).await
}

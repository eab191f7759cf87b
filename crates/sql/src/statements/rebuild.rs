//! When the rows of a materialized view are made anew: `ALTER MATERIALIZED VIEW … REBUILD`, and what CREATE OR REPLACE comes to.
//!
//! Rows are built anew where they come to be others, or are kept otherwise; not for settings, for how a query is written, or (of a document) for what
//! is only shown otherwise. Each time they are it is another version of the view. The definition in the catalog has the version that is asked until
//! then with it: after a crash in between it is asked again.

use headwater_catalog::{CreateMode, Definition, Shape, ViewDefinition, ViewSettings};
use headwater_views::{Unkept, ViewSpec};

use super::definition::losses;
use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::question::view_spec;
use crate::{Outcome, Session, SqlError, SqlState};

/// Builds a view anew, beside the rows that are asked until then.
pub(crate) async fn rebuild_view(
    inner: &Inner,
    session: &Session,
    name: &str,
    if_exists: bool,
) -> Result<Outcome, SqlError> {
    let told = |notices: Vec<String>| Outcome::Told {
        tag: "ALTER MATERIALIZED VIEW".to_owned(),
        notices,
    };
    let _defining = inner.defining.lock().await;
    let existing = inner.catalog.get(name);
    let view = match existing.as_deref() {
        Some(Definition::View(view)) if view.shape.is_some() => view,
        Some(Definition::View(_)) => {
            let message = format!("'{name}' is a plain view, computed when it is asked: there is nothing to build");
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message));
        }
        Some(other) => {
            let message = format!(
                "'{name}' is a {}, and rows of materialized views are what is built",
                other.noun()
            );
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("SHOW VIEWS lists them"));
        }
        None if if_exists => return Ok(told(Vec::new())),
        None => return Err(inner.unknown_table(name)),
    };
    let mut definition = view.clone();
    next_version(inner, &mut definition, view)?;
    let spec = view_spec(inner, &definition)?;
    inner.views.check(&spec)?;
    losses::check(inner, &spec)?;
    let mut notices = without(inner, &spec)?;
    inner
        .catalog
        .define(
            Definition::View(definition.clone()),
            CreateMode::OrReplace,
            &session.principal,
        )
        .await?;
    start(inner, spec).await?;
    notices.extend(became(inner, &definition, existing.as_deref()));
    Ok(told(notices))
}

/// Begins to run a view as the catalog has it, and the version before it, where that is still asked.
pub(crate) fn begin_view(inner: &Inner, view: &ViewDefinition) -> Result<(), SqlError> {
    let spec = view_spec(inner, view)?;
    let before = view.before.as_deref().map(|before| view_spec(inner, before));
    // One whose streams are others by now cannot be asked any more.
    let before = before.and_then(Result::ok);
    inner.views.begin(spec, before)?;
    Ok(())
}

/// Gives a definition that replaces another its number: that of the version which has its rows already, where there is one.
pub(super) fn number(
    inner: &Inner,
    definition: &mut ViewDefinition,
    existing: &ViewDefinition,
    spec: Option<&mut ViewSpec>,
) -> Result<(), SqlError> {
    let Some(spec) = spec else {
        definition.version = existing.version.saturating_add(1);
        return Ok(());
    };
    match inner.views.version_holding(spec)? {
        Some(version) => {
            definition.version = version;
            if version == existing.version {
                definition.before = existing.before.clone();
            }
        }
        None => next_version(inner, definition, existing)?,
    }
    spec.definition = definition.clone();
    Ok(())
}

/// Makes it the next version, with the one before it that is asked meanwhile.
fn next_version(inner: &Inner, definition: &mut ViewDefinition, existing: &ViewDefinition) -> Result<(), SqlError> {
    if let Some(location) = location_of(existing)
        && location_of(definition) == Some(location)
    {
        let message = format!(
            "the table at {location} belongs to the rows that the view '{}' has now, and two versions cannot write it",
            definition.name
        );
        return Err(SqlError::new(SqlState::INVALID_DEFINITION, message)
            .hint("CREATE OR REPLACE the view with another LOCATION, or DROP it, take the table away and CREATE it"));
    }
    definition.version = existing.version.saturating_add(1);
    let running = inner.views.get(&existing.name).map(|running| running.said());
    definition.before = running.map(|running| {
        Box::new(ViewDefinition {
            before: None,
            ..ViewDefinition::clone(&running)
        })
    });
    Ok(())
}

fn location_of(definition: &ViewDefinition) -> Option<&str> {
    match &definition.shape {
        Some(Shape::Columnar { location, .. }) => location.as_deref(),
        _ => None,
    }
}

/// What there is to say of events that went into a view's rows, and into those that are built in their place will not.
pub(super) fn without(inner: &Inner, spec: &ViewSpec) -> Result<Vec<String>, SqlError> {
    let name = &spec.definition.name;
    let said = |unkept: Unkept| {
        let Unkept {
            stream,
            partition,
            upto,
            is_thinned,
        } = unkept;
        let why = match is_thinned {
            true => "that compaction took out",
            false => "that are no longer kept",
        };
        let said =
            format!("the view '{name}' is built anew without the events of {stream}/{partition} below {upto} {why}");
        tracing::warn!("{said}");
        said
    };
    Ok(inner.views.unkept(spec)?.into_iter().map(said).collect())
}

/// What there is to say where a definition is what it was.
pub(super) fn unchanged(view: &ViewDefinition) -> Vec<String> {
    let said = format!("the view '{}' is not built again: nothing of it changed", view.name);
    Vec::from_iter(view.shape.is_some().then_some(said))
}

/// What became of a view's rows, once it is started.
pub(super) fn became(inner: &Inner, view: &ViewDefinition, existing: Option<&Definition>) -> Vec<String> {
    let (name, version) = (&view.name, view.version);
    if view.shape.is_none() {
        return Vec::new();
    }
    let rebuild = inner.views.rebuilding(name);
    if let Some(why) = rebuild.as_ref().and_then(|rebuild| rebuild.stopped.as_ref()) {
        return vec![format!(
            "version {version} of the view '{name}' stopped, and the one before it goes on: {why}"
        )];
    }
    let is_first_build = inner
        .views
        .get(name)
        .is_some_and(|running| running.building().is_some());
    let said = match existing {
        Some(Definition::View(existing)) if existing.version == version && existing.shape.is_some() => {
            let what = not_built_for(existing, view);
            format!("the view '{name}' is not built again: {what}")
        }
        _ if rebuild.is_some() => format!(
            "version {version} of the view '{name}' is being built beside the one that is asked until then; SHOW VIEWS says how far it is"
        ),
        _ if is_first_build => format!("the view '{name}' is being built; SHOW VIEWS says how far it is"),
        Some(_) => format!("version {version} of the view '{name}' is built, and asked from now on"),
        None => return Vec::new(),
    };
    vec![said]
}

/// What changed that rows need not be built for.
fn not_built_for(old: &ViewDefinition, new: &ViewDefinition) -> String {
    let settings = changed_settings(&old.settings, &new.settings);
    match (settings.is_empty(), old.query == new.query) {
        (false, true) => format!("{} changed, which is in force now", settings.join(" and ")),
        (false, false) => format!(
            "its query makes its rows of what is kept already, and {} changed, which is in force now",
            settings.join(" and ")
        ),
        _ => "its query makes its rows of what is kept already".to_owned(),
    }
}

fn changed_settings(old: &ViewSettings, new: &ViewSettings) -> Vec<&'static str> {
    let settings = [
        ("freshness", old.freshness_ms, new.freshness_ms),
        ("every", old.every_ms, new.every_ms),
        ("memory", old.memory_bytes, new.memory_bytes),
        ("checkpoints", old.checkpoint_events, new.checkpoint_events),
        ("keep_versions", old.keep_versions_ms, new.keep_versions_ms),
    ];
    let changed = settings.into_iter().filter(|(_, old, new)| old != new);
    let may_lose = (old.may_lose_events != new.may_lose_events).then_some("may_lose_events");
    changed.map(|(name, ..)| name).chain(may_lose).collect()
}

/// Opens the view's store and begins to fold, away from the runtime's threads: both touch the disk.
pub(super) async fn start(inner: &Inner, spec: ViewSpec) -> Result<(), SqlError> {
    let views = inner.views.clone();
    let name = spec.definition.name.clone();
    inner.not_started.lock().remove(&name);
    let started = off_thread(move || views.start(spec).map(|_| ())).await;
    started.map_err(|error| {
        inner.did_not_start(&name, &error);
        let message = format!("the view '{name}' is defined and did not start: {}", error.message);
        SqlError::new(error.state, message).hint(match error.is_passing() {
            true => "it is tried again, and starts by itself",
            false => "it starts with the program once the cause is mended, or DROP it",
        })
    })
}

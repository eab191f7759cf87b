//! What would be lost were views built anew: events that went into their rows, and that their streams no longer keep. Nobody is to lose them by a statement
//! that does not say so.
//!
//! A view says so with `WITH (may_lose_events = 'true')`.

use headwater_catalog::{Shape, StreamDefinition, ViewDefinition};
use headwater_views::{Unkept, ViewSpec};

use crate::inner::Inner;
use crate::question::view_spec;
use crate::{SqlError, SqlState};

/// Refuses to build a view anew whose rows could not be made again.
pub(crate) fn check(inner: &Inner, spec: &ViewSpec) -> Result<(), SqlError> {
    match of(inner, spec)? {
        Some(said) => Err(refused(vec![said])),
        None => Ok(()),
    }
}

/// Refuses to have a view worked out when it is asked whose rows could not be made again.
pub(crate) fn check_plain(inner: &Inner, existing: &ViewDefinition) -> Result<(), SqlError> {
    let is_elsewhere = matches!(existing.shape, Some(Shape::Columnar { location: Some(_), .. }));
    if existing.settings.may_lose_events || is_elsewhere {
        return Ok(());
    }
    match inner.views.losses_without(&existing.name) {
        0 => Ok(()),
        events => {
            let message = format!(
                "the view '{}' would be without {events} events that went into its rows and are no longer kept: a plain view has the rows that its streams \
                 give when it is asked",
                existing.name
            );
            Err(SqlError::new(SqlState::NEEDED, message)
                .hint("nothing was changed; give the plain view another name, or DROP the materialized one first"))
        }
    }
}

/// Refuses a change of a stream by which views over it would be built anew whose rows could not be made again. `new`: the stream with the change.
pub(crate) fn check_readers(inner: &Inner, new: &StreamDefinition, readers: &[ViewDefinition]) -> Result<(), SqlError> {
    let holds = |view: &&ViewDefinition| {
        let current = view_spec(inner, view).ok();
        current.is_some_and(|spec| inner.views.unkept(&spec).is_ok_and(|unkept| !unkept.is_empty()))
    };
    let readers: Vec<&ViewDefinition> = readers.iter().filter(holds).collect();
    if readers.is_empty() {
        return Ok(());
    }
    let supposed = inner.supposing(new);
    let mut said: Vec<String> = Vec::new();
    for view in readers {
        // One that cannot read the stream any more is not built anew: it stands still with the rows that it has.
        let Ok(spec) = view_spec(&supposed, view) else {
            continue;
        };
        said.extend(of(inner, &spec)?);
    }
    match said.is_empty() {
        true => Ok(()),
        false => Err(refused(said)),
    }
}

/// What a view would lose, where that is anything that it was not said it may. A table at a LOCATION stays where it is.
fn of(inner: &Inner, spec: &ViewSpec) -> Result<Option<String>, SqlError> {
    let definition = &spec.definition;
    let is_elsewhere = matches!(definition.shape, Some(Shape::Columnar { location: Some(_), .. }));
    if definition.settings.may_lose_events || is_elsewhere {
        return Ok(None);
    }
    let events = inner.views.losses(spec)?;
    if events == 0 {
        return Ok(None);
    }
    let place = |unkept: Unkept| format!("{}/{} below {}", unkept.stream, unkept.partition, unkept.upto);
    let places: Vec<String> = inner.views.unkept(spec)?.into_iter().map(place).collect();
    Ok(Some(format!(
        "the view '{}' would be built anew without {events} events that went into its rows and are no longer kept ({})",
        definition.name,
        places.join(", ")
    )))
}

fn refused(said: Vec<String>) -> SqlError {
    SqlError::new(SqlState::NEEDED, said.join("; ")).hint(
        "nothing was changed; where they may be lost, the view says so: CREATE OR REPLACE MATERIALIZED VIEW … WITH (may_lose_events = 'true') AS …; or give \
         the new definition another name, and the old rows stay",
    )
}

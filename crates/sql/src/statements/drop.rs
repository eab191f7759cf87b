//! DROP of a stream, a view, a command and their like: each by what it is.

use headwater_catalog::{Definition, INTERNAL_PREFIX};

use super::create::stop;
use super::pipelines;
use crate::inner::Inner;
use crate::{Outcome, Session, SqlError, SqlState};

/// Drops what nothing depends on: the definition, then what was kept for it.
pub(crate) async fn drop(
    inner: &Inner,
    session: &Session,
    noun: &'static str,
    name: &str,
    if_exists: bool,
) -> Result<Outcome, SqlError> {
    if name.starts_with(INTERNAL_PREFIX) {
        let error = SqlError::new(
            SqlState::NOT_ALLOWED,
            format!("'{name}' belongs to the program itself and cannot be dropped"),
        );
        return Err(error);
    }
    match inner.catalog.get(name) {
        Some(existing) => {
            let kind = kind(&existing);
            if kind != noun {
                let error = SqlError::new(SqlState::WRONG_OBJECT, format!("'{name}' is a {kind}, and no {noun}"));
                return Err(error.hint(format!("write DROP {} {name}", kind.to_uppercase())));
            }
            inner.catalog.drop(existing.noun(), name, &session.principal).await?;
            stop(inner, name).await?;
            pipelines::follow(inner, name).await?;
        }
        None if if_exists => {}
        None => inner.catalog.drop(noun, name, &session.principal).await?,
    }
    Ok(Outcome::Done {
        tag: format!("DROP {}", noun.to_uppercase()),
        position: None,
    })
}

/// What a DROP calls it.
fn kind(definition: &Definition) -> &'static str {
    match definition {
        Definition::View(view) if view.shape.is_some() => "materialized view",
        other => other.noun(),
    }
}

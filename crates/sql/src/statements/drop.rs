//! DROP STREAM, VIEW and COMMAND.

use headwater_catalog::{CatalogError, Definition, INTERNAL_PREFIX};

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
    let existing = inner.catalog.get(name);
    let materialized = matches!(existing.as_deref(), Some(Definition::View(view)) if view.shape.is_some());
    match inner.catalog.drop(noun, name, &session.principal).await {
        Ok(()) => {
            stop(inner, name).await?;
            pipelines::follow(inner, name).await?;
        }
        Err(CatalogError::Unknown { .. }) if if_exists && existing.is_none() => {}
        Err(error) => {
            let other = existing.filter(|definition| definition.noun() != noun);
            let error = SqlError::from(error);
            return Err(match other {
                Some(definition) => error.hint(format!(
                    "'{name}' is a {}: DROP {}",
                    definition.noun(),
                    definition.noun().to_uppercase()
                )),
                None => error,
            });
        }
    }
    let tag = match (noun, materialized) {
        ("view", true) => "DROP MATERIALIZED VIEW".to_owned(),
        _ => format!("DROP {}", noun.to_uppercase()),
    };
    Ok(Outcome::Done { tag, position: None })
}

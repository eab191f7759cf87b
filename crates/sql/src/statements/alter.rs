//! ALTER STREAM … SET and RESET: the log changes the settings, durable and in force when the answer comes.

use headwater_catalog::INTERNAL_PREFIX;
use headwater_eventlog::{StreamError, StreamSettings};

use crate::inner::Inner;
use crate::off_thread::off_thread;
use crate::{Outcome, Session, SqlError, SqlState};

/// The settings of one statement.
pub(crate) struct Settings<'a> {
    pub(crate) set: &'a StreamSettings,
    /// What is taken back, by the log's names.
    pub(crate) reset: &'a [String],
    /// Why one of the values cannot be.
    pub(crate) refused: &'a Option<Box<SqlError>>,
}

/// Sets and takes back settings of a stream.
pub(crate) async fn alter_stream(
    inner: &Inner,
    session: &Session,
    name: &str,
    if_exists: bool,
    settings: Settings<'_>,
) -> Result<Outcome, SqlError> {
    let done = || Outcome::Done {
        tag: "ALTER STREAM".to_owned(),
        position: None,
    };
    if name.starts_with(INTERNAL_PREFIX) {
        let message = format!("'{name}' belongs to the program itself and cannot be altered");
        return Err(SqlError::new(SqlState::NOT_ALLOWED, message));
    }
    let Some(definition) = inner.catalog.stream(name) else {
        return match if_exists {
            true => Ok(done()),
            false => Err(inner.unknown_table(name)),
        };
    };
    if let Some(error) = settings.refused {
        return Err(*error.clone());
    }
    let (set, reset) = (settings.set.clone(), settings.reset.to_vec());
    let (log, stream) = (inner.log.clone(), name.to_owned());
    let altered = off_thread(move || {
        let altered = log.alter_stream(&stream, |settings| {
            settings.overlay(&set);
            for name in &reset {
                settings.set(name, None)?;
            }
            settings.entities = settings.entities.or_else(|| definition.entities_default());
            Ok(())
        });
        Ok::<_, SqlError>(altered)
    });
    altered.await?.map_err(|error| refuse(inner, name, &error))?;
    tracing::info!(stream = name, principal = %session.principal, "settings altered");
    Ok(done())
}

fn refuse(inner: &Inner, name: &str, error: &StreamError) -> SqlError {
    match error {
        StreamError::Unknown(_) => inner.unknown_table(name),
        StreamError::Full(_) => SqlError::new(SqlState::DISK_FULL, error.to_string()),
        StreamError::Stopped(_) => SqlError::new(SqlState::IO, error.to_string()),
        _ => SqlError::new(SqlState::INVALID_DEFINITION, error.to_string()),
    }
}

//! An application's text, brought into the catalog.

use headwater_sql::syntax::Parsed;
use headwater_sql::{Session, SqlError, parse};

use crate::application::Application;
use crate::exit::{Exit, Failure, OrExit};
use crate::pieces::Pieces;

/// Who writes the definitions of an application's file.
const PRINCIPAL: &str = "headwater";

/// Reads the application's file; nothing is looked up yet.
pub fn read(application: &Application) -> Result<Vec<Parsed>, Failure> {
    parse::parse(&application.text, &application.file).or_exit(Exit::Failed)
}

/// Starts the views and pipelines that the catalog holds, then brings in what the application's file says: what is missing is made, what is the same
/// is left, what changed is replaced where its events can bear it. What is to be built of that is built together.
pub async fn start(pieces: &Pieces, script: &[Parsed]) -> Result<(), Failure> {
    let views = pieces.engine.views();
    let together = views.together();
    for (view, why) in pieces.engine.start_views() {
        tracing::error!("the view '{view}' does not start: {why}");
    }
    for (pipeline, why) in pieces.engine.start_pipelines() {
        tracing::error!("the pipeline into '{pipeline}' does not start: {why}");
    }
    for applied in pieces.engine.apply(&session(), script).await.or_exit(Exit::Failed)? {
        tracing::debug!("{} {}: {:?}", applied.noun, applied.name, applied.defined);
    }
    drop(together);
    let building: Vec<String> = views.builds().into_iter().map(|(name, _)| name).collect();
    views.settle(&building);
    Ok(())
}

/// Every error in the application's file. Pieces over an empty log are expected.
pub async fn errors(pieces: &Pieces, application: &Application) -> Vec<SqlError> {
    let script: Vec<Parsed> = match parse::parse(&application.text, &application.file) {
        Ok(script) => script,
        Err(error) => return vec![error],
    };
    let mut errors: Vec<SqlError> = Vec::new();
    for index in 0..script.len() {
        errors.extend(pieces.engine.apply_one(&session(), &script, index).await.err());
    }
    errors
}

fn session() -> Session {
    Session {
        principal: PRINCIPAL.to_owned(),
        ..Session::default()
    }
}

//! `headwater check`: an application's text against an empty scratch log, so that neither its data nor a door is touched.

use std::path::Path;

use crate::announce::{self, say};
use crate::application::Application;
use crate::arguments;
use crate::definitions;
use crate::exit::{Exit, Failure, OrExit};
use crate::scratch::Scratch;
use crate::settings::Settings;

/// Runs `headwater check`.
pub fn run(path: &Path) -> Result<(), Failure> {
    let application = Application::read(path)?;
    // The settings file is part of the application: a wrong key is found here too.
    Settings::read(&arguments::Run::of(path), None, &application.folder)?;
    let runtime = tokio::runtime::Runtime::new().or_exit(Exit::Failed)?;
    let scratch = Scratch::open(runtime.handle(), Scratch::now_us())?;
    let errors = runtime.block_on(definitions::errors(&scratch.pieces, &application));
    match &errors[..] {
        [] => {}
        [error] => return Err(Failure::new(Exit::Failed, error.clone())),
        several => {
            let lines: Vec<String> = several.iter().map(ToString::to_string).collect();
            let why = format!(
                "{} errors; one may follow from another before it\n{}",
                several.len(),
                lines.join("\n")
            );
            return Err(Failure::new(Exit::Failed, why));
        }
    }
    for line in announce::definitions(&scratch.pieces.catalog) {
        say(&line);
    }
    say(&format!("{}: no errors", application.file));
    Ok(())
}

//! `headwater test`: the tests of an application, as data, each over an empty log of its own.
//!
//! ```text
//! files ─> script (text into steps) ─> workers ─> trial (a machine in memory, step after step) ─> report, junit
//!                                                  attempts, appended, compare
//! ```

mod appended;
mod attempts;
mod compare;
mod files;
mod junit;
mod number;
mod report;
mod script;
mod statements;
mod trial;
mod workers;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::announce::say;
use crate::application::Application;
use crate::arguments;
use crate::definitions;
use crate::exit::{Exit, Failure};
use crate::scratch::Scratch;
use files::TestFile;
use report::Style;
use trial::Miss;

/// The tests of one file, run.
pub struct Suite {
    file: String,
    cases: Vec<Case>,
}

/// One test, run. A file that cannot be read is one that failed.
pub struct Case {
    name: String,
    line: usize,
    took: Duration,
    outcome: Result<(), Miss>,
}

/// Runs `headwater test`: every test whose file or name contains the filter. What one does, also a panic, does not stop the others.
pub fn run(options: &arguments::Test) -> Result<(), Failure> {
    let began = Instant::now();
    let application = Application::read(&options.application)?;
    let script = definitions::read(&application)?;
    let runtime = workers::runtime()?;
    // What is wrong with the application itself is said once, not by every test.
    let scratch = Scratch::open(runtime.handle(), Scratch::now_us())?;
    runtime.block_on(definitions::start(&scratch.pieces, &script))?;
    drop(scratch);

    let files = files::read(&application.folder, options.filter.as_deref())?;
    let suites = workers::run(&runtime, &script, &files, options.rounds, &Printer::default())?;
    if let Some(path) = &options.junit {
        write(path, &junit::document(&suites))?;
    }
    let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let failed = cases.iter().filter(|case| case.outcome.is_err()).count();
    let passed = cases.len() - failed;
    say(&format!(
        "{passed} passed, {failed} failed in {:.2} s",
        began.elapsed().as_secs_f64()
    ));
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "one test failed")),
        failed => Err(Failure::new(Exit::Failed, format!("{failed} tests failed"))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|why| {
        let why = format!(
            "--junit {}: {why}; name a file in a folder that is there",
            path.display()
        );
        Failure::new(Exit::Usage, why)
    })
}

/// Prints what is done, in the order of the files.
struct Printer {
    style: Style,
}

impl Default for Printer {
    fn default() -> Printer {
        Printer {
            style: Style::of_stdout(),
        }
    }
}

impl Printer {
    fn file(&self, file: &TestFile) {
        say(&file.name);
    }

    fn case(&self, file: &TestFile, case: &Case) {
        say(&self.style.test(&file.name, &case.name, case.took, &case.outcome));
    }
}

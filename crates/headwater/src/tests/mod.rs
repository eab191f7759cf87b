//! `headwater test`: the tests of an application, as data, each over an empty log of its own.

mod compare;
mod script;
mod trial;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::announce::say;
use crate::application::Application;
use crate::definitions;
use crate::exit::{Exit, Failure};
use script::Script;
use trial::Miss;

/// The folder of tests in an application's folder.
const FOLDER: &str = "tests";
/// How the name of a test file ends.
const ENDING: &str = "test";

/// Runs `headwater test`: every test whose file or name contains the filter. What one does, also a panic, does not stop the others.
pub fn run(path: &Path, filter: Option<&str>) -> Result<(), Failure> {
    let application = Application::read(path)?;
    let definitions = definitions::read(&application)?;
    let mut passed = 0;
    let mut failed = 0;
    for file in files(&application.folder.join(FOLDER))? {
        let name = file.display().to_string();
        let script = match read(&file) {
            Ok(script) => script,
            Err(miss) => {
                failed += 1;
                say(&format!("{name}\n  FAIL\n{}", shown(&name, &miss)));
                continue;
            }
        };
        let wanted = |test: &&script::Test| filter.is_none_or(|text| name.contains(text) || test.name.contains(text));
        let tests: Vec<&script::Test> = script.tests.iter().filter(wanted).collect();
        if !tests.is_empty() {
            say(&name);
        }
        for test in tests {
            let began = Instant::now();
            let outcome = trial::run(&definitions, test);
            let took = began.elapsed().as_millis();
            match outcome {
                Ok(()) => {
                    passed += 1;
                    say(&format!("  ok    {} ({took} ms)", test.name));
                }
                Err(miss) => {
                    failed += 1;
                    say(&format!("  FAIL  {} ({took} ms)\n{}", test.name, shown(&name, &miss)));
                }
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed"));
    match (passed, failed) {
        (0, 0) => Err(Failure::new(
            Exit::Failed,
            "no test has the filter's text in its name or its file's",
        )),
        (_, 0) => Ok(()),
        (_, 1) => Err(Failure::new(Exit::Failed, "one test failed")),
        (_, failed) => Err(Failure::new(Exit::Failed, format!("{failed} tests failed"))),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let refuse = |why: String| Failure::new(Exit::Failed, why);
    let advice = "put files of tests there, 'headwater test --help' shows one";
    let entries = std::fs::read_dir(folder).map_err(|why| refuse(format!("{}: {why}; {advice}", folder.display())))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|why| refuse(format!("{}: {why}", folder.display())))?
            .path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(refuse(format!(
            "{} has no file that ends with .{ENDING}; {advice}",
            folder.display()
        ))),
        false => Ok(files),
    }
}

fn read(file: &Path) -> Result<Script, Miss> {
    let text = std::fs::read_to_string(file).map_err(|why| Miss {
        line: 1,
        text: format!("cannot be read: {why}"),
    })?;
    Script::parse(&text).map_err(|error| Miss {
        line: error.line,
        text: error.to_string(),
    })
}

/// A failure with its place, indented under its test.
fn shown(file: &str, miss: &Miss) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (index, line) in miss.text.lines().enumerate() {
        match index {
            0 => lines.push(format!("    {file}:{}: {line}", miss.line)),
            _ => lines.push(format!("      {line}")),
        }
    }
    lines.join("\n")
}

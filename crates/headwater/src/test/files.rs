//! The test files of an application, found and read.

use std::path::{Path, PathBuf};

use super::script::{Script, Test};
use super::trial::Miss;
use crate::exit::{Exit, Failure};
use crate::text_file;

/// The folder of tests in an application's folder.
const FOLDER: &str = "tests";
/// How the name of a test file ends.
const ENDING: &str = "test";

/// A test file: what it is called, and the tests in it that are wanted, or why it is none.
pub struct TestFile {
    /// Its path, as it is shown.
    pub name: String,
    /// Its tests.
    pub tests: Result<Vec<Test>, Miss>,
}

/// The files whose path contains the filter, or whose tests do. One that cannot be read stays: what is wrong in it is nobody's wish.
pub fn read(application: &Path, filter: Option<&str>) -> Result<Vec<TestFile>, Failure> {
    let mut files: Vec<TestFile> = Vec::new();
    for path in paths(&application.join(FOLDER))? {
        let mut file = read_file(&path);
        if let (Some(filter), Ok(tests)) = (filter, &mut file.tests)
            && !file.name.contains(filter)
        {
            tests.retain(|test| test.name.contains(filter));
            if tests.is_empty() {
                continue;
            }
        }
        files.push(file);
    }
    match (files.is_empty(), filter) {
        (true, Some(filter)) => Err(Failure::new(
            Exit::Usage,
            format!("no test has '{filter}' in its name or its file's: look at the names with 'headwater test' alone"),
        )),
        _ => Ok(files),
    }
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let refuse = |why: String| Failure::new(Exit::Usage, why);
    let advice = "put files of tests there, 'headwater test --help' shows one";
    let entries = std::fs::read_dir(folder).map_err(|why| refuse(format!("{}: {why}; {advice}", folder.display())))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|why| refuse(format!("{}: {why}", folder.display())))?
            .path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            paths.push(path);
        }
    }
    paths.sort();
    match paths.is_empty() {
        true => Err(refuse(format!(
            "{} has no file that ends with .{ENDING}; {advice}",
            folder.display()
        ))),
        false => Ok(paths),
    }
}

fn read_file(path: &Path) -> TestFile {
    let tests = match text_file::read(path) {
        Ok(text) => Script::parse(&text)
            .map(|script| script.tests)
            .map_err(|error| Miss::new(error.line, error.what)),
        Err(why) => Err(Miss::new(1, format!("the file cannot be read: {why}"))),
    };
    TestFile {
        name: path.display().to_string(),
        tests,
    }
}

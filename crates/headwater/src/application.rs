//! An application: the folder or file that was named, and the text in it.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::exit::{Exit, Failure};
use crate::text_file;

/// The file of definitions in an application's folder.
const DEFINITIONS: &str = "app.sql";

/// An application, read.
#[derive(Debug)]
pub struct Application {
    /// The folder: `headwater.toml` and `tests` are looked for here.
    pub folder: PathBuf,
    /// The file of definitions, as errors name it.
    pub file: String,
    /// The text of the definitions.
    pub text: String,
}

impl Application {
    /// Reads the application at a path: a folder with an `app.sql`, or one SQL file.
    pub fn read(path: &Path) -> Result<Application, Failure> {
        let refuse = |why: String| Failure {
            exit: Exit::Usage,
            why: anyhow!(why),
        };
        let shown = path.display();
        if !path.exists() {
            return Err(refuse(format!(
                "there is nothing at {shown}: name a folder with an {DEFINITIONS}, or one SQL file"
            )));
        }
        let (folder, file) = if path.is_dir() {
            (path.to_owned(), path.join(DEFINITIONS))
        } else {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            (folder.to_owned(), path.to_owned())
        };
        if !file.is_file() {
            return Err(refuse(format!(
                "the folder {shown} has no {DEFINITIONS}: put the CREATE statements there, or name one SQL file"
            )));
        }
        let text = text_file::read(&file).map_err(|why| refuse(format!("{} cannot be read: {why}", file.display())))?;
        Ok(Application {
            folder,
            file: file.display().to_string(),
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_or_a_file_is_an_application() {
        let folder = tempfile::tempdir().unwrap();
        let check =
            |path: &str, expected: Result<&str, &str>| match (Application::read(&folder.path().join(path)), expected) {
                (Ok(application), Ok(text)) => assert_eq!(application.text, text),
                (Err(failure), Err(why)) => {
                    assert_eq!(failure.exit, Exit::Usage);
                    assert!(failure.to_string().contains(why), "{failure}");
                }
                (got, expected) => panic!("{path}: {got:?}, expected {expected:?}"),
            };
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::create_dir(folder.path().join("bank")).unwrap();
        fs::write(folder.path().join("bank/app.sql"), "SHOW STREAMS").unwrap();
        fs::write(folder.path().join("latin.sql"), b"-- caf\xe9").unwrap();
        check("bank", Ok("SHOW STREAMS"));
        check("bank/app.sql", Ok("SHOW STREAMS"));
        check("empty", Err("has no app.sql"));
        check("gone", Err("there is nothing at"));
        check("latin.sql", Err("the byte at 6 is wrong"));
    }
}

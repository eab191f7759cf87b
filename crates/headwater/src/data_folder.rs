//! The data folder: what is wrong with the one that was named, before anything is opened in it.

use std::fs;
use std::io;
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::pieces::LOG_FOLDER;

/// Makes sure that a data folder can be there, making it where there is nothing.
pub fn make(data: &Path) -> Result<(), Failure> {
    look(data)?;
    fs::create_dir_all(data).map_err(|why| refused(data, &format!("cannot be made: {why}")))
}

/// Looks at what stands where a data folder was named; nothing may.
pub fn look(data: &Path) -> Result<(), Failure> {
    if data.as_os_str().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "the data folder has no name: name one with --data, or as data in headwater.toml",
        ));
    }
    match fs::metadata(data) {
        Ok(found) if !found.is_dir() => Err(refused(data, "is no folder")),
        Ok(_) => match fs::metadata(data.join(LOG_FOLDER)) {
            Ok(log) if !log.is_dir() => Err(refused(data, "has a file 'log' where the log's folder stands")),
            _ => Ok(()),
        },
        Err(why) if why.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(data) {
            Ok(_) => Err(refused(data, "is a link to something that is not there")),
            Err(_) => Ok(()),
        },
        Err(why) => Err(refused(data, &format!("cannot be looked at: {why}"))),
    }
}

fn refused(data: &Path, what: &str) -> Failure {
    let why = format!(
        "the data folder {} {what}: name another folder with --data, HEADWATER_DATA or data in headwater.toml",
        data.display()
    );
    Failure::new(Exit::Usage, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_data_folder_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("app.sql"), "").unwrap();
        symlink(path("gone"), path("dangling")).unwrap();
        fs::create_dir(path("taken")).unwrap();
        fs::write(path("taken/log"), "").unwrap();
        fs::create_dir(path("empty")).unwrap();
        let check = |data: &Path, expected: Option<&str>| match (make(data), expected) {
            (Ok(()), None) => assert!(data.is_dir()),
            (Err(failure), Some(why)) => {
                let said = failure.to_string();
                assert_eq!(failure.exit, Exit::Usage);
                assert!(said.contains(why) && said.contains("--data"), "{said}");
            }
            (got, expected) => panic!("{}: {got:?}, expected {expected:?}", data.display()),
        };
        check(&path("new/below"), None);
        check(&path("empty"), None);
        check(&path("app.sql"), Some("app.sql is no folder"));
        check(&path("app.sql/below"), Some("cannot be looked at: Not a directory"));
        check(&path("dangling"), Some("is a link to something that is not there"));
        check(&path("taken"), Some("has a file 'log'"));
        check(Path::new("/proc/headwater"), Some("/proc/headwater cannot be made"));
        check(Path::new(""), Some("has no name"));
    }
}

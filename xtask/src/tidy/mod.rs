//! The rules on the project's own files. Each is a function from the files' texts to findings, so that a test can plant a violation.

mod documents;
mod layers;
mod lock;
mod machine;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::finding::Finding;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 4] = ["target", ".git", "headwater-data", "node_modules"];

/// The workspace's files: path from its folder (with `/`) and text. A file that is no UTF-8 has an empty text.
pub struct Tree {
    pub files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files under `root`.
    pub fn read(root: &Path) -> anyhow::Result<Tree> {
        let mut tree = Tree { files: BTreeMap::new() };
        tree.add(root, "")?;
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !FOREIGN.contains(&name.as_str()) {
                    self.add(&entry.path(), &format!("{path}/"))?;
                }
                continue;
            }
            let bytes = fs::read(entry.path()).with_context(|| format!("{path} cannot be read"))?;
            self.files.insert(path, String::from_utf8(bytes).unwrap_or_default());
        }
        Ok(())
    }

    /// The Rust files.
    fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether a file or a folder of this path is there.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(first, _)| first.starts_with(&folder))
    }
}

/// Every rule over the whole tree.
pub fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = layers::check(tree)?;
    findings.extend(machine::check(tree));
    findings.extend(sources::check(tree));
    findings.extend(documents::check(tree));
    findings.extend(lock::check(tree)?);
    Ok(findings)
}

#[cfg(test)]
impl Tree {
    /// A tree of these files.
    fn of(files: &[(&str, &str)]) -> Tree {
        Tree {
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
        }
    }
}

/// Asserts that the findings are exactly these, each given as the beginning of its printed line.
#[cfg(test)]
fn assert_findings(findings: &[Finding], expected: &[&str]) {
    let printed: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(printed.len(), expected.len(), "{printed:#?}");
    for (printed, expected) in printed.iter().zip(expected) {
        assert!(
            printed.starts_with(expected),
            "{printed}\nexpected to begin with\n{expected}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn folders_are_there_when_a_file_is_in_them() {
        let tree = Tree::of(&[("docs/sql.md", ""), ("docs2", "")]);
        for (path, expected) in [
            ("docs", true),
            ("docs/", true),
            ("docs/sql.md", true),
            ("doc", false),
            ("docs2/x", false),
        ] {
            assert_eq!(tree.has(path), expected, "{path}");
        }
    }
}

//! One version each of what must be one: two of them do not speak with each other.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use super::Tree;
use crate::finding::Finding;

/// The packages of which the lock file may hold one version.
const ONE: [&str; 7] = [
    "datafusion",
    "arrow",
    "arrow-schema",
    "arrow-array",
    "kafka-protocol",
    "pgwire",
    "tokio",
];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// Looks at the lock file.
pub fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let Some(text) = tree.files.get("Cargo.lock") else {
        return Ok(vec![Finding::file("Cargo.lock", "is missing: commit it")]);
    };
    let lock: Lock = toml::from_str(text).context("Cargo.lock cannot be read")?;
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &lock.package {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let mut findings: Vec<Finding> = Vec::new();
    for name in ONE {
        if let Some(found) = versions.get(name).filter(|found| found.len() > 1) {
            findings.push(Finding::file(
                "Cargo.lock",
                format!(
                    "{} versions of {name} ({}): they do not speak with each other",
                    found.len(),
                    found.join(", ")
                ),
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, assert_findings};

    #[test]
    fn one_version_of_what_must_be_one() {
        let package = |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let check = |lock: String, expected: &[&str]| {
            assert_findings(&super::check(&Tree::of(&[("Cargo.lock", &lock)])).unwrap(), expected);
        };
        check(
            package("arrow", "59.0.0") + &package("rand", "0.8.0") + &package("rand", "0.9.0"),
            &[],
        );
        check(
            package("arrow", "58.0.0") + &package("arrow", "59.0.0"),
            &["Cargo.lock: 2 versions of arrow (58.0.0, 59.0.0)"],
        );
    }
}

//! What the project depends on: licences, sources and kept advisories, from the lock file and `deny.toml`, offline.
//!
//! `cargo deny check licenses bans sources` reads the same `deny.toml`; this check needs nothing but cargo.

mod license;
mod policy;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::finding::Finding;
use policy::Policy;

/// What `cargo metadata` prints.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// One package of the lock file.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Where it comes from; `None`: this workspace.
    source: Option<String>,
}

/// Looks at every package; how many there are, and what is wrong.
pub fn check(root: &Path) -> anyhow::Result<(usize, Vec<Finding>)> {
    let path = root.join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let policy = Policy::parse(&text)?;
    let packages = packages(root)?;
    Ok((packages.len(), judge(&policy, &packages)))
}

fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root)
        .output()
        .context("cargo metadata did not start")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!(
            "cargo metadata failed; run `cargo fetch --locked` once, so that every package is on this machine\n{why}"
        );
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")?;
    Ok(metadata.packages)
}

fn judge(policy: &Policy, packages: &[Package]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for package in packages {
        let named = format!("{} {}", package.name, package.version);
        let Ok(version) = semver::Version::parse(&package.version) else {
            findings.push(Finding::file(
                "Cargo.lock",
                format!("{named}: its version cannot be read"),
            ));
            continue;
        };
        if let Some(source) = &package.source
            && !policy.takes_source(source)
        {
            findings.push(Finding::file(
                "Cargo.lock",
                format!("{named} comes from {source}, which deny.toml does not name"),
            ));
        }
        match &package.license {
            None => findings.push(Finding::file("Cargo.lock", format!("{named} states no licence"))),
            Some(expression) => match license::allowed(expression, &policy.licenses_for(&package.name)) {
                Ok(true) => {}
                Ok(false) => findings.push(Finding::file(
                    "Cargo.lock",
                    format!("{named} is under {expression}, which deny.toml does not allow"),
                )),
                Err(why) => findings.push(Finding::file(
                    "Cargo.lock",
                    format!("{named}: its licence '{expression}' cannot be read: {why}"),
                )),
            },
        }
        for denied in policy.denied_for(&package.name, &version) {
            findings.push(Finding::file(
                "Cargo.lock",
                format!("{named} is denied: {}", denied.reason),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        [sources]
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
        [bans]
        deny = [{ crate = "bytes:>=1.2.1, <1.11.1", reason = "an overflow" }]
    "#;
    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn check(name: &str, version: &str, license: Option<&str>, source: Option<&str>, expected: &[&str]) {
        let package = Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        let findings: Vec<String> = judge(&Policy::parse(POLICY).unwrap(), &[package])
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.contains(expected), "{finding}");
        }
    }

    #[test]
    fn each_rule_finds_its_violation() {
        check("serde", "1.0.0", Some("MIT OR Apache-2.0"), Some(CRATES_IO), &[]);
        check("headwater", "0.1.0", Some("Apache-2.0"), None, &[]);
        check(
            "viral",
            "1.0.0",
            Some("GPL-3.0-only"),
            Some(CRATES_IO),
            &["viral 1.0.0 is under GPL-3.0-only"],
        );
        check(
            "silent",
            "1.0.0",
            None,
            Some(CRATES_IO),
            &["silent 1.0.0 states no licence"],
        );
        check("odd", "1.0.0", Some("MIT OR"), Some(CRATES_IO), &["cannot be read"]);
        check(
            "git",
            "1.0.0",
            Some("MIT"),
            Some("git+https://example.org/x#abc"),
            &["git 1.0.0 comes from git+https://example.org/x"],
        );
        check("bytes", "1.2.0", Some("MIT"), Some(CRATES_IO), &[]);
        check(
            "bytes",
            "1.2.1",
            Some("MIT"),
            Some(CRATES_IO),
            &["bytes 1.2.1 is denied: an overflow"],
        );
        check("bytes", "1.11.0", Some("MIT"), Some(CRATES_IO), &["is denied"]);
        check("bytes", "1.11.1", Some("MIT"), Some(CRATES_IO), &[]);
    }
}

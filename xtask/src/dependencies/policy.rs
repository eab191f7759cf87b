//! `deny.toml`: what is allowed and what is denied.

use anyhow::Context;
use semver::{Version, VersionReq};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    licenses: Licenses,
    sources: Sources,
    #[serde(default)]
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Bans {
    #[serde(default)]
    deny: Vec<Deny>,
}

#[derive(Deserialize)]
struct Deny {
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

/// What is allowed and what is denied.
pub struct Policy {
    licenses: Vec<String>,
    exceptions: Vec<Exception>,
    registries: Vec<String>,
    denied: Vec<Denied>,
}

/// Versions of a package that must not be in the lock file.
pub struct Denied {
    name: String,
    versions: VersionReq,
    /// Why.
    pub reason: String,
}

impl Policy {
    /// Reads the text of `deny.toml`.
    pub fn parse(text: &str) -> anyhow::Result<Policy> {
        let file: File = toml::from_str(text).context("deny.toml cannot be read")?;
        let mut denied: Vec<Denied> = Vec::new();
        for deny in file.bans.deny {
            let (name, versions) = deny.spec.split_once(':').unwrap_or((&deny.spec, "*"));
            let versions = versions
                .parse()
                .with_context(|| format!("deny.toml: the versions of '{}' cannot be read", deny.spec))?;
            denied.push(Denied {
                name: name.to_owned(),
                versions,
                reason: deny.reason,
            });
        }
        Ok(Policy {
            licenses: file.licenses.allow,
            exceptions: file.licenses.exceptions,
            registries: file.sources.allow_registry,
            denied,
        })
    }

    /// The licences that may be met for a package.
    pub fn licenses_for(&self, name: &str) -> Vec<String> {
        let mut licenses = self.licenses.clone();
        let own = self.exceptions.iter().filter(|exception| exception.name == name);
        licenses.extend(own.flat_map(|exception| exception.allow.iter().cloned()));
        licenses
    }

    /// Whether a package may come from there (`registry+ADDRESS`, as cargo prints it).
    pub fn takes_source(&self, source: &str) -> bool {
        source
            .strip_prefix("registry+")
            .is_some_and(|registry| self.registries.iter().any(|allowed| allowed == registry))
    }

    /// What speaks against this version of a package.
    pub fn denied_for(&self, name: &str, version: &Version) -> impl Iterator<Item = &Denied> {
        self.denied
            .iter()
            .filter(move |denied| denied.name == name && denied.versions.matches(version))
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    fn check(text: &str, error: Option<&str>) {
        match (Policy::parse(text), error) {
            (Ok(_), None) => {}
            (Err(why), Some(expected)) => assert!(format!("{why:#}").contains(expected), "{why:#}"),
            (got, error) => panic!("{text}: {:?}, expected {error:?}", got.err()),
        }
    }

    #[test]
    fn what_is_no_policy_is_said() {
        let head = "[licenses]\nallow = []\n[sources]\nallow-registry = []\n";
        check(head, None);
        check(
            &format!("{head}[bans]\ndeny = [{{ crate = \"x:<1\", reason = \"y\" }}]"),
            None,
        );
        check(
            &format!("{head}[bans]\ndeny = [{{ crate = \"x:one\", reason = \"y\" }}]"),
            Some("the versions of 'x:one'"),
        );
        check(&format!("{head}[bans]\ndeny = [{{ crate = \"x\" }}]"), Some("reason"));
        check("[licenses]", Some("allow"));
    }
}

//! Who may depend on whom: a crate only on crates below it, and a library only where it belongs.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use super::Tree;
use crate::finding::Finding;

/// The crates, top to bottom: the table of the design. A crate may depend on those that stand below it.
const LAYERS: [&str; 15] = [
    "headwater",
    "http-api",
    "postgres-api",
    "kafka-api",
    "commands",
    "sql",
    "lake",
    "views",
    "stores",
    "schedules",
    "catalog",
    "schemas",
    "eventlog",
    "records",
    "host",
];

/// Libraries that only some crates may know, and why. A name that ends with `*` stands for all that begin so.
const KEPT_APART: [(&str, &[&str], &str); 9] = [
    ("kafka-protocol", &["kafka-api"], "only kafka-api names Kafka"),
    ("rdkafka", &[], "clients belong to tests"),
    (
        "datafusion*",
        &["sql", "views", "lake", "commands", "headwater"],
        "the log and the doors know no query engine",
    ),
    (
        "arrow*",
        &[
            "catalog",
            "views",
            "lake",
            "sql",
            "commands",
            "postgres-api",
            "http-api",
            "headwater",
        ],
        "events are bytes up to the views",
    ),
    ("pgwire", &["postgres-api"], "wire types stop at the door"),
    ("axum", &["http-api"], "wire types stop at the door"),
    ("fjall", &["stores"], "a view's rows live in its store"),
    ("tantivy", &["stores"], "a view's rows live in its store"),
    ("deltalake*", &["lake"], "tables on object storage are one crate's"),
];

/// What a Cargo.toml says of dependencies.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    build_dependencies: BTreeMap<String, toml::Value>,
}

/// The crate whose manifest this path is: `crates/NAME/Cargo.toml`.
fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?
        .strip_suffix("/Cargo.toml")
        .filter(|name| !name.contains('/'))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == name)
}

fn names(pattern: &str, library: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => library.starts_with(prefix),
        None => library == pattern,
    }
}

/// Looks at the manifest of every crate.
pub fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, text) in &tree.files {
        let Some(name) = crate_of(path) else { continue };
        let Some(own) = layer(name) else {
            findings.push(Finding::file(
                path,
                format!("'{name}' has no place in the order of crates: give it one in xtask/src/tidy/layers.rs"),
            ));
            continue;
        };
        let manifest: Manifest = toml::from_str(text).with_context(|| format!("{path} cannot be read"))?;
        let shipped = manifest.dependencies.keys().chain(manifest.build_dependencies.keys());
        for library in shipped.clone().chain(manifest.dev_dependencies.keys()) {
            findings.extend(upward(path, name, own, library));
        }
        for library in shipped {
            for (pattern, allowed, why) in KEPT_APART {
                if names(pattern, library) && !allowed.contains(&name) {
                    findings.push(Finding::file(
                        path,
                        format!("{name} must not depend on {library}: {why}"),
                    ));
                }
            }
        }
    }
    Ok(findings)
}

fn upward(path: &str, name: &str, own: usize, library: &str) -> Option<Finding> {
    let other = match library {
        "headwater" => library,
        _ => library.strip_prefix("headwater-")?,
    };
    match layer(other) {
        Some(place) if place > own => None,
        Some(_) => Some(Finding::file(
            path,
            format!("{name} depends on {other}, which does not stand below it"),
        )),
        None => Some(Finding::file(
            path,
            format!("{name} depends on '{other}', which has no place in the order of crates"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, assert_findings};

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        assert_findings(&super::check(&Tree::of(files)).unwrap(), expected);
    }

    #[test]
    fn dependencies_go_down() {
        check(
            &[(
                "crates/eventlog/Cargo.toml",
                "[dependencies]\nheadwater-records.workspace = true\nbytes = \"1\"",
            )],
            &[],
        );
        check(
            &[(
                "crates/eventlog/Cargo.toml",
                "[dependencies]\nheadwater-views.workspace = true",
            )],
            &["crates/eventlog/Cargo.toml: eventlog depends on views, which does not stand below it"],
        );
        check(
            &[(
                "crates/views/Cargo.toml",
                "[dev-dependencies]\nheadwater-sql.workspace = true",
            )],
            &["crates/views/Cargo.toml: views depends on sql, which does not stand below it"],
        );
        check(
            &[("crates/views/Cargo.toml", "[dependencies]\nheadwater-cache = \"1\"")],
            &["crates/views/Cargo.toml: views depends on 'cache', which has no place"],
        );
        check(
            &[("crates/cache/Cargo.toml", "")],
            &["crates/cache/Cargo.toml: 'cache' has no place in the order of crates"],
        );
    }

    #[test]
    fn libraries_stay_where_they_belong() {
        check(
            &[("crates/kafka-api/Cargo.toml", "[dependencies]\nkafka-protocol = \"1\"")],
            &[],
        );
        check(
            &[("crates/views/Cargo.toml", "[dependencies]\ndatafusion = \"1\"")],
            &[],
        );
        check(
            &[("crates/http-api/Cargo.toml", "[dependencies]\nkafka-protocol = \"1\"")],
            &["crates/http-api/Cargo.toml: http-api must not depend on kafka-protocol"],
        );
        check(
            &[(
                "crates/eventlog/Cargo.toml",
                "[dependencies]\ndatafusion-common = \"1\"\narrow-schema = \"1\"",
            )],
            &[
                "crates/eventlog/Cargo.toml: eventlog must not depend on arrow-schema",
                "crates/eventlog/Cargo.toml: eventlog must not depend on datafusion-common",
            ],
        );
    }

    #[test]
    fn tests_may_use_clients() {
        check(
            &[("crates/headwater/Cargo.toml", "[dev-dependencies]\nrdkafka = \"1\"")],
            &[],
        );
        check(
            &[("crates/headwater/Cargo.toml", "[dependencies]\nrdkafka = \"1\"")],
            &["crates/headwater/Cargo.toml: headwater must not depend on rdkafka"],
        );
    }
}

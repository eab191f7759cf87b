//! The documents that lead through the tree are there, and every path they name is too.

use super::Tree;
use crate::finding::Finding;

/// The documents whose paths are looked up.
const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "docs/decisions.md", "docs/proofs.md"];

/// What a path begins with, when it is one of ours.
const TOP: [&str; 8] = [
    "crates/",
    "docs/",
    "examples/",
    "benchmarks/",
    "compat/",
    "simulator/",
    "xtask/",
    ".ci/",
];

/// Looks at every document.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for document in DOCUMENTS {
        let Some(text) = tree.files.get(document) else {
            findings.push(Finding::file(document, "is missing: a newcomer looks for it"));
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            let mut named = paths(line);
            named.sort_unstable();
            named.dedup();
            for path in named {
                if !tree.has(path) {
                    findings.push(Finding::line(
                        document,
                        index + 1,
                        format!("names {path}, which is not there"),
                    ));
                }
            }
        }
    }
    findings
}

/// The paths that a line names: what stands in code marks or in a link, and begins like one of ours. A path with a placeholder is none.
fn paths(line: &str) -> Vec<&str> {
    let words = line.split(|character: char| character.is_whitespace() || "`()[]'\",;|".contains(character));
    words
        .map(|word| word.trim_start_matches("./").trim_end_matches(['.', ':']))
        .map(|word| word.split(['#', ':']).next().unwrap_or(word))
        .filter(|word| TOP.iter().any(|top| word.starts_with(top)))
        .filter(|word| !word.contains(['*', '<', '>', '{', '}', '…', '$']) && !word.contains("NAME"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, assert_findings};
    use super::paths;

    #[test]
    fn paths_are_found_in_prose() {
        for (line, expected) in [
            (
                "see `crates/sql/src/engine.rs` and [sql](docs/sql.md#streams).",
                vec!["crates/sql/src/engine.rs", "docs/sql.md"],
            ),
            ("run ./examples/bank: it", vec!["examples/bank"]),
            ("`crates/NAME`, `crates/*/src`, a/b, target/debug", vec![]),
            ("`crates/eventlog/src/log.rs:42`", vec!["crates/eventlog/src/log.rs"]),
        ] {
            assert_eq!(paths(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_named_is_there() {
        let tree = |readme: &str| {
            Tree::of(&[
                ("README.md", readme),
                ("ARCHITECTURE.md", ""),
                ("docs/decisions.md", ""),
                ("docs/proofs.md", ""),
                ("docs/sql.md", ""),
            ])
        };
        assert_findings(&super::check(&tree("`docs/sql.md`\n`docs`")), &[]);
        assert_findings(
            &super::check(&tree("one\n`docs/kql.md`")),
            &["README.md:2: names docs/kql.md"],
        );
        assert_findings(
            &super::check(&Tree::of(&[("README.md", "")])),
            &[
                "ARCHITECTURE.md: is missing",
                "docs/decisions.md: is missing",
                "docs/proofs.md: is missing",
            ],
        );
    }
}

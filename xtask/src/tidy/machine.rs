//! Below the doors only `host` opens a file or reads a clock, and only `kafka-api` names Kafka.
//!
//! Code is what stands outside of comments, texts and test modules: those under `#[cfg(test)]`, in files `tests.rs` and in folders `tests`.

use super::Tree;
use super::sources::code_lines;
use crate::finding::Finding;

/// The crates below the doors that get the machine from `host`.
const BELOW: [&str; 10] = [
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
];

/// What reaches for the machine directly.
const MACHINE: [&str; 10] = [
    "std::fs",
    "tokio::fs",
    "File::open",
    "File::create",
    "OpenOptions",
    "time::SystemTime",
    "SystemTime::now",
    "Utc::now",
    "Timestamp::now",
    "Zoned::now",
];

/// The files that may all the same, and why.
const MACHINE_EXCEPTIONS: [(&str, &str); 4] = [
    (
        "crates/lake/src/durable.rs",
        "a table's library writes its files itself: here they are brought to the disk",
    ),
    (
        "crates/lake/src/own.rs",
        "notes beside a view's store which commits of its table are its own; without the note any is taken for that",
    ),
    (
        "crates/stores/src/files.rs",
        "the stores' libraries keep files of their own, and what they hold is derived",
    ),
    (
        "crates/views/src/rows/folder.rs",
        "finds the folders of stores that no view has any more; what they hold is derived",
    ),
];

/// The crates that may name Kafka in code: its doors, and the program that names the doors.
const KAFKA: [&str; 2] = ["kafka-api", "headwater"];

/// The files that may name Kafka in code all the same, and why.
const KAFKA_EXCEPTIONS: [(&str, &str); 0] = [];

/// Looks at the code of every crate.
pub fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, &MACHINE_EXCEPTIONS, &KAFKA_EXCEPTIONS)
}

fn check_with(tree: &Tree, machine_exceptions: &[(&str, &str)], kafka_exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, text) in tree.rust() {
        let Some((name, inside)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let test = inside.ends_with("/tests.rs") || inside.contains("/tests/");
        if test || !inside.starts_with("src/") {
            continue;
        }
        let machine = BELOW.contains(&name) && !machine_exceptions.iter().any(|(file, _)| *file == path);
        let kafka = !KAFKA.contains(&name) && !kafka_exceptions.iter().any(|(file, _)| *file == path);
        for (line, code) in code_lines(text) {
            if machine && let Some(word) = MACHINE.iter().find(|word| code.contains(**word)) {
                findings.push(Finding::line(
                    path,
                    line,
                    format!("{word} reaches past headwater-host: take the disk or the clock from Host"),
                ));
            }
            if kafka && code.to_ascii_lowercase().contains("kafka") {
                findings.push(Finding::line(
                    path,
                    line,
                    "only kafka-api names Kafka in code: speak of streams, events and offsets",
                ));
            }
        }
    }
    for (file, _) in machine_exceptions.iter().chain(kafka_exceptions) {
        if !tree.has(file) {
            findings.push(Finding::file(
                "xtask/src/tidy/machine.rs",
                format!("the exception for {file} is for a file that is not there: take it out"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, assert_findings};

    const CLOCK: &str = "//! Doc.\nfn now() { std::time::SystemTime::now(); }\n";

    #[test]
    fn the_machine_is_reached_through_host() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_findings(&super::check_with(&Tree::of(&[(path, text)]), &[], &[]), expected);
        };
        check(
            "crates/views/src/lib.rs",
            CLOCK,
            &["crates/views/src/lib.rs:2: time::SystemTime reaches past"],
        );
        check(
            "crates/views/src/lib.rs",
            "use std::fs;",
            &["crates/views/src/lib.rs:1: std::fs reaches past"],
        );
        check("crates/host/src/real.rs", CLOCK, &[]);
        check("crates/headwater/src/main.rs", CLOCK, &[]);
        check("crates/views/tests/fold.rs", CLOCK, &[]);
        check("crates/views/src/fold/tests.rs", CLOCK, &[]);
        check("crates/views/src/fold/tests/late.rs", CLOCK, &[]);
        check(
            "crates/views/src/lib.rs",
            "// std::fs is not used\nlet text = \"std::fs\";",
            &[],
        );
        check(
            "crates/views/src/lib.rs",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            &[],
        );
        check(
            "crates/views/src/lib.rs",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::fs;\n",
            &["crates/views/src/lib.rs:5: "],
        );
    }

    #[test]
    fn only_its_door_names_kafka() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_findings(&super::check_with(&Tree::of(&[(path, text)]), &[], &[]), expected);
        };
        check("crates/kafka-api/src/lib.rs", "struct KafkaOptions;", &[]);
        check("crates/views/src/lib.rs", "// as Kafka does\nstruct Fold;", &[]);
        check(
            "crates/views/src/lib.rs",
            "struct KafkaFold;",
            &["crates/views/src/lib.rs:1: only kafka-api names Kafka"],
        );
    }

    #[test]
    fn exceptions_are_for_files_that_are_there() {
        let tree = Tree::of(&[("crates/views/src/lib.rs", CLOCK)]);
        assert_findings(
            &super::check_with(&tree, &[("crates/views/src/lib.rs", "a reason")], &[]),
            &[],
        );
        assert_findings(
            &super::check_with(&Tree::of(&[]), &[("crates/views/src/rows/gone.rs", "a reason")], &[]),
            &["xtask/src/tidy/machine.rs: the exception for crates/views/src/rows/gone.rs"],
        );
    }
}

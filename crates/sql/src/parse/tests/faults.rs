//! Faults, with the SQLSTATE, the place and the words: `faults.txt` holds them, statement by statement.
//!
//! `HEADWATER_REWRITE=1` writes what is said now into the file, to be read in review.

use std::fmt::Write;
use std::path::Path;

use super::*;

const FAULTS: &str = include_str!("faults.txt");

#[test]
fn every_fault_has_a_place_a_reason_and_a_way_out() {
    let mut rewritten = String::new();
    let mut different: Vec<String> = Vec::new();
    for block in FAULTS.split("\n\n\n").filter(|block| !block.trim().is_empty()) {
        let (text, expected) = block
            .split_once("\n----")
            .expect("a block is a statement, ---- and what is said");
        let text = text.trim_start_matches('\n');
        let said = match parse(text, "") {
            Ok(statements) => format!("read as {:?}", statements.iter().map(rendered).collect::<Vec<_>>()),
            Err(error) => format!("{} {error}", error.state.0),
        };
        if said != expected.trim() {
            different.push(format!("{text}\nexpected {}\nfound    {said}", expected.trim()));
        }
        write!(rewritten, "{text}\n----\n{said}\n\n\n").expect("a text takes a text");
    }
    if std::env::var_os("HEADWATER_REWRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/parse/tests/faults.txt");
        std::fs::write(path, rewritten).expect("the file is written");
        return;
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

#[test]
fn a_syntax_error_on_line_7() {
    let text = "-- the bank\nCREATE STREAM transactions (\n  account TEXT NOT NULL\n) KEY (account);\n\nSELECT account\n  FORM transactions;\n";
    let error = parse(text, "app.sql").expect_err("it has a fault");
    assert_eq!(
        error.to_string(),
        "app.sql:7:8: expected the end of the query, found 'transactions'; did you mean FROM where 'FORM' stands?"
    );
}

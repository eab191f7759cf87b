//! Faults, with the place and the words.

use super::*;

#[test]
fn a_syntax_error_on_line_7() {
    let text = "-- the bank\nCREATE STREAM transactions (\n  account TEXT NOT NULL\n) KEY (account);\n\nSELECT account\n  FORM transactions;\n";
    let error = parse(text, "app.sql").expect_err("it has a fault");
    assert_eq!(
        error.to_string(),
        "app.sql:7:8: expected the end of the query, found 'transactions'"
    );
}

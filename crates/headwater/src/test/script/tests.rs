//! What a test file is read as, and what is no test file.

use super::*;
use crate::limits::TEST_ATTEMPTS_MAX;

const WHOLE: &str = r#"
-- what the bank promises
test "a withdrawal above the balance is refused"
GIVEN transactions
  {"account": "BradA", "amount": 100.00}
  -- and another
  {"account": "BradA", "amount": 1}
WHEN CALL withdraw('BradA',
  120.00);
THEN REFUSED 'it''s not enough'
THEN EVENTS transactions
then rows SELECT account, note
  FROM balances
  | BradA | a \| b \n |
  |  | |
"#;

#[test]
fn a_file_is_read_whole() {
    let script = Script::parse(WHOLE).unwrap();
    let [test] = &script.tests[..] else {
        panic!("{script:?}")
    };
    assert_eq!(test.name, "a withdrawal above the balance is refused");
    let given = |line: usize, json: &str| GivenEvent {
        line,
        at_us: None,
        json: json.to_owned(),
    };
    let given = vec![
        given(5, r#"{"account": "BradA", "amount": 100.00}"#),
        given(7, r#"{"account": "BradA", "amount": 1}"#),
    ];
    let rows = vec![
        vec!["BradA".to_owned(), r"a | b \n".to_owned()],
        vec![String::new(), String::new()],
    ];
    let question = "SELECT account, note\nFROM balances".to_owned();
    let expected = [
        (
            4,
            StepKind::Given {
                stream: "transactions".to_owned(),
                events: given,
            },
        ),
        (
            8,
            StepKind::When(Action::Statement("CALL withdraw('BradA',\n120.00)".to_owned())),
        ),
        (
            10,
            StepKind::Refused {
                count: None,
                refusal: Refusal {
                    text: Some("it's not enough".to_owned()),
                    code: None,
                },
            },
        ),
        (
            11,
            StepKind::Events {
                stream: "transactions".to_owned(),
                events: Vec::new(),
            },
        ),
        (12, StepKind::Rows { question, rows }),
    ];
    assert_eq!(test.steps, expected.map(|(line, kind)| Step { line, kind }));
}

#[test]
fn what_is_no_test_is_said_with_its_line() {
    let check = |text: &str, line: usize, what: &str| {
        let error = Script::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.what.contains(what), "{text}: {error}");
    };
    check("", 1, "holds no test");
    check("GIVEN a\n", 1, "before the first test");
    check("  {}\n", 1, "begins with an indented line");
    check("test a\n", 1, "a text in \"");
    check("test \"a\"\nGIVEN s\n", 1, "expects nothing");
    check("-- x\n\ntest \"a\"\nAT 2025-01-01\n", 3, "expects nothing");
    check("test \"a\"\n  {}\n", 2, "nothing is expected below");
    check("test \"a\"\nAND b\n", 2, "none of test, AT");
    check("test \"a\"\nGIVEN\n", 2, "the name of one stream");
    check("test \"a\"\nGIVEN s\n  [1]\n", 3, "a JSON object");
    check("test \"a\"\nGIVEN s\n  {\n", 3, "a JSON object");
    check("test \"a\"\nTHEN\n", 2, "THEN is followed by");
    check("test \"a\"\nTHEN REFUSED no\n", 2, "a text in '");
    check("test \"a\"\nTHEN REFUSED 'a'b'\n", 2, "a text in '");
    check("test \"a\"\nTHEN REFUSED CODE\n", 2, "a text in '");
    check("test \"a\"\nTHEN REFUSED 'a' CODE b\n", 2, "a text in '");
    check("test \"a\"\nTHEN REFUSED\n", 2, "CODE 'code', or both");
    check("test \"a\"\nTHEN ROWS\n  | 1 |\n", 2, "followed by a question");
    check("test \"a\"\nTHEN ROWS SELECT 1\n  | 1\n", 3, "a row is written");
    check("test \"a\"\nTHEN ROWS SELECT 1\n  | 1 \\|\n", 3, "a row is written");
    let when = "test \"a\"\nWHEN CALL c()\n";
    check("test \"a\"\nTHEN REFUSED 'a'\n", 2, "no WHEN before");
    check(&format!("{when}THEN 1 REFUSED 'a'\n"), 3, "belongs behind WHEN AT ONCE");
    check(&format!("{when}THEN 1 EVENTS s\n"), 3, "THEN is followed by");
    check("test \"a\"\nWHEN\n", 2, "followed by a statement");
    check("test \"a\"\nWHEN APPEND\n  {}\n", 2, "the name of one stream");
    check("test \"a\"\nWHEN APPEND s\n", 2, "the events of APPEND");
    check(
        "test \"a\"\nWHEN APPEND s IF VERSION IS NULL\n",
        2,
        "the events of APPEND",
    );
    check("test \"a\"\nWHEN APPEND s WHEN x\n  {}\n", 2, "IF VERSION = '0@17'");
    check("test \"a\"\nWHEN APPEND s\n  {\n", 3, "a JSON object");
    check("test \"a\"\nWHEN APPEND s\n  {}\n  [1]\n", 4, "a JSON object");
    check("test \"a\"\nWHEN AT ONCE\n", 2, "followed by nothing");
    check(
        "test \"a\"\nWHEN AT ONCE CALL c()\n  CALL c()\n",
        2,
        "followed by nothing",
    );
    check(
        "test \"a\"\nWHEN AT ONCE\n  0 TIMES CALL c()\n",
        3,
        "leave the line out",
    );
    check("test \"a\"\nWHEN AT ONCE\n  2 TIMES\n", 3, "followed by a statement");
    let many = format!("test \"a\"\nWHEN AT ONCE\n  {} TIMES CALL c()\n", TEST_ATTEMPTS_MAX + 1);
    check(&many, 3, "fewer show the same");
    let at_once = "test \"a\"\nWHEN AT ONCE\n  2 TIMES CALL c()\n";
    check(&format!("{at_once}THEN REFUSED 'a'\n"), 4, "say how many of them");
    check(&format!("{at_once}THEN 3 SUCCEED\n"), 4, "3 are expected and 2 are run");
    check(
        "test \"a\"\nTHEN ROWS SELECT 1\n  | 1 |\n  | 1 | 2 |\n",
        4,
        "below one of 1",
    );
    check("test \"a\"\nAT noon\n", 2, "'noon' is no time");
    check("test \"a\"\nADVANCE 1 month\n", 2, "of different lengths");
    check("test \"a\"\nGIVEN s\n  AT 2025-01-01\n", 3, "followed by the event");
    check("test \"a\"\nGIVEN s\n  AT noon {}\n", 3, "'noon' is no time");
}

#[test]
fn statements_that_are_run_at_once_may_go_over_several_lines() {
    let text = format!(
        "test \"a\"\nwhen at once\n  {TEST_ATTEMPTS_MAX} times CALL c(\n    1);\nTHEN {TEST_ATTEMPTS_MAX} SUCCEED\n"
    );
    let script = Script::parse(&text).unwrap();
    let attempt = Attempt {
        line: 3,
        action: Action::Statement("CALL c(\n1)".to_owned()),
    };
    let expected = StepKind::AtOnce(vec![attempt; TEST_ATTEMPTS_MAX]);
    assert_eq!(script.tests[0].steps[0].kind, expected);
    assert!(script.tests[0].is_concurrent());
    let two = Script::parse("test \"a\"\nWHEN AT ONCE\n  CALL a()\n  CALL b()\nTHEN 1 SUCCEEDS\n").unwrap();
    let StepKind::AtOnce(attempts) = &two.tests[0].steps[0].kind else {
        panic!("{two:?}")
    };
    let call = |line: usize, text: &str| Attempt {
        line,
        action: Action::Statement(text.to_owned()),
    };
    assert_eq!(attempts, &[call(3, "CALL a()"), call(4, "CALL b()")]);
}

#[test]
fn an_append_has_events_and_perhaps_a_condition() {
    let check = |text: &str, condition: &str, events: &[&str]| {
        let script = Script::parse(&format!("test \"a\"\n{text}THEN REFUSED CODE 'c'\n")).unwrap();
        let expected = Action::Append {
            stream: "seats".to_owned(),
            condition: condition.to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        };
        assert_eq!(script.tests[0].steps[0].kind, StepKind::When(expected), "{text}");
    };
    check("WHEN APPEND seats\n  {}\n", "", &["{}"]);
    check(
        "WHEN append seats IF VERSION = '0@1'\n  {\"a\": 1}\n  {\"a\": 2}\n",
        "IF VERSION = '0@1'",
        &[r#"{"a": 1}"#, r#"{"a": 2}"#],
    );
    check(
        "WHEN APPEND seats\n  IF NOT EXISTS (SELECT FROM seats\n    WHERE a = 1)\n  {}\n",
        "IF NOT EXISTS (SELECT FROM seats\nWHERE a = 1)",
        &["{}"],
    );
    let at_once = "test \"a\"\nWHEN AT ONCE\n  2 TIMES APPEND seats IF VERSION IS NULL\n    {}\nTHEN 1 SUCCEEDS\n";
    let script = Script::parse(at_once).unwrap();
    let StepKind::AtOnce(attempts) = &script.tests[0].steps[0].kind else {
        panic!("{script:?}")
    };
    let append = Action::Append {
        stream: "seats".to_owned(),
        condition: "IF VERSION IS NULL".to_owned(),
        events: vec!["{}".to_owned()],
    };
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|attempt| attempt.action == append), "{attempts:?}");
}

#[test]
fn a_refusal_has_a_text_a_code_or_both() {
    let check = |written: &str, text: Option<&str>, code: Option<&str>| {
        let script = Script::parse(&format!("test \"a\"\nWHEN CALL c()\nTHEN REFUSED {written}\n")).unwrap();
        let refusal = Refusal {
            text: text.map(str::to_owned),
            code: code.map(str::to_owned),
        };
        assert_eq!(
            script.tests[0].steps[1].kind,
            StepKind::Refused { count: None, refusal }
        );
    };
    check("'no'", Some("no"), None);
    check("CODE 'no_funds'", None, Some("no_funds"));
    check(
        "'it''s CODE ''x''' code 'no_funds'",
        Some("it's CODE 'x'"),
        Some("no_funds"),
    );
}

#[test]
fn a_test_begins_at_the_first_time_that_it_names() {
    let check = |steps: &str, expected: Option<i64>| {
        let script = Script::parse(&format!("test \"a\"\n{steps}THEN EVENTS s\n")).unwrap();
        assert_eq!(script.tests[0].begins_at_us(), expected, "{steps}");
    };
    let day = 86_400_000_000;
    check("", None);
    check("ADVANCE 1 day\n", None);
    check("AT 1970-01-02\nAT 1970-01-03\n", Some(day));
    check("GIVEN s\n  {}\n  AT 1970-01-02 {}\nAT 1970-01-03\n", Some(day));
}

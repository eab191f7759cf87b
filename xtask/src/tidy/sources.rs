//! How a Rust file looks: it says what it is for, has one job, and its name says which.

use super::Tree;
use crate::finding::Finding;

/// The most lines of a file; a longer one has two jobs.
const LINES_MAX: usize = 800;

/// The files that may be longer, and why: tables.
const LONG: [(&str, &str); 0] = [];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "managers"];

/// Looks at every Rust file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, text) in tree.rust() {
        if !text.starts_with("//!") {
            findings.push(Finding::line(
                path,
                1,
                "the file does not open with //!: say its purpose and its invariants",
            ));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX && !LONG.iter().any(|(file, _)| *file == path) {
            findings.push(Finding::file(path, format!("{lines} lines, more than {LINES_MAX}: split it by job, or list it in xtask/src/tidy/sources.rs with the reason")));
        }
        if let Some(word) = path
            .split('/')
            .find(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
        {
            findings.push(Finding::file(
                path,
                format!("'{word}' says nothing about what is inside: name it after its job"),
            ));
        }
        if let Some(folder) = path.strip_suffix(".rs")
            && tree.has(folder)
        {
            findings.push(Finding::file(
                path,
                format!("stands beside its folder: it is {folder}/mod.rs"),
            ));
        }
        for (line, code) in code_lines(text) {
            if code.contains("todo!(") || code.contains("unimplemented!(") {
                findings.push(Finding::line(
                    path,
                    line,
                    "a piece that is not there yet answers with an error that says so",
                ));
            }
        }
    }
    for (file, _) in LONG {
        if tree
            .files
            .get(file)
            .is_none_or(|text| text.lines().count() <= LINES_MAX)
        {
            findings.push(Finding::file(
                file,
                "is listed as long and is not: take it out of xtask/src/tidy/sources.rs",
            ));
        }
    }
    findings
}

/// The code of a file, line by line from 1: without comments and the insides of texts, and without the modules under `#[cfg(test)]`.
///
/// Good enough for looking for words: it knows line comments, nested block comments, plain and raw texts, characters and lifetimes.
pub fn code_lines(text: &str) -> Vec<(usize, String)> {
    let code = without_comments_and_texts(text);
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut test_module = TestModule::Outside;
    for (index, line) in code.lines().enumerate() {
        test_module = test_module.after(line);
        if matches!(test_module, TestModule::Outside) {
            lines.push((index + 1, line.to_owned()));
        }
    }
    lines
}

/// Where a line stands towards a module under `#[cfg(test)]`.
enum TestModule {
    Outside,
    /// The attribute was seen, the item's brace was not.
    Announced,
    /// This many braces are open.
    Inside(usize),
    /// The last brace was closed on this line.
    Closing,
}

impl TestModule {
    fn after(self, line: &str) -> TestModule {
        let open = match self {
            TestModule::Outside | TestModule::Closing if line.trim_start().starts_with("#[cfg(test)]") => {
                return TestModule::Announced;
            }
            TestModule::Outside | TestModule::Closing => return TestModule::Outside,
            TestModule::Announced if line.contains('{') => 0,
            TestModule::Announced if line.trim_end().ends_with(';') => return TestModule::Closing,
            TestModule::Announced => return TestModule::Announced,
            TestModule::Inside(open) => open,
        };
        let opened = line.matches('{').count();
        let closed = line.matches('}').count();
        match (open + opened).saturating_sub(closed) {
            0 => TestModule::Closing,
            open => TestModule::Inside(open),
        }
    }
}

/// The text with every character of a comment or of a text replaced by nothing; line breaks stay.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => plain_text(rest),
            'r' if !code.ends_with(|before: char| before.is_alphanumeric() || before == '_') => {
                raw_text(rest).unwrap_or(0)
            }
            '\'' => character(rest).unwrap_or(0),
            _ => 0,
        };
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        code.extend(rest[..length].chars().filter(|character| *character == '\n'));
        rest = &rest[length..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn plain_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`.
fn raw_text(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|character| *character == '#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let closing = body.find(&end).map_or(text.len(), |at| 1 + hashes + 1 + at + end.len());
    Some(closing)
}

/// `'x'`, `'\n'`; nothing where it is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        let (_, _) = characters.next()?;
        return characters
            .find(|(_, character)| *character == '\'')
            .map(|(at, _)| at + 1);
    }
    let (at, second) = characters.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, assert_findings};
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_findings(&super::check(&Tree::of(&[(path, text)])), expected);
    }

    #[test]
    fn a_module_with_a_folder_stands_in_it() {
        let tree = Tree::of(&[
            ("crates/x/src/fold.rs", "//! Folds.\n"),
            ("crates/x/src/fold/turn.rs", "//! A turn.\n"),
            ("crates/x/src/folder.rs", "//! A folder.\n"),
            ("crates/x/src/read/mod.rs", "//! Reads.\n"),
            ("crates/x/src/read/row.rs", "//! A row.\n"),
        ]);
        assert_findings(
            &super::check(&tree),
            &["crates/x/src/fold.rs: stands beside its folder"],
        );
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        check("crates/x/src/fold.rs", "//! Folds.\n", &[]);
        check(
            "crates/x/src/fold.rs",
            "use std::io;\n",
            &["crates/x/src/fold.rs:1: the file does not open with //!"],
        );
        check("crates/x/src/fold.rs", "", &["crates/x/src/fold.rs:1: "]);
        check("README.md", "", &[]);
    }

    #[test]
    fn a_file_has_one_job() {
        check("crates/x/src/fold.rs", &"//! Folds.\n".repeat(LINES_MAX), &[]);
        check(
            "crates/x/src/fold.rs",
            &"//! Folds.\n".repeat(LINES_MAX + 1),
            &["crates/x/src/fold.rs: 801 lines"],
        );
    }

    #[test]
    fn names_say_something() {
        check("crates/x/src/utility.rs", "//! x\n", &[]);
        check(
            "crates/x/src/util.rs",
            "//! x\n",
            &["crates/x/src/util.rs: 'util.rs' says nothing"],
        );
        check(
            "crates/common/src/lib.rs",
            "//! x\n",
            &["crates/common/src/lib.rs: 'common' says nothing"],
        );
    }

    #[test]
    fn nothing_is_left_for_later() {
        check(
            "crates/x/src/fold.rs",
            "//! x\nfn a() { todo!() }\n",
            &["crates/x/src/fold.rs:2: "],
        );
        check("crates/x/src/fold.rs", "//! x\n// todo!() is refused\n", &[]);
    }

    #[test]
    fn code_is_what_is_no_comment_and_no_text() {
        for (text, expected) in [
            ("a // b", "a "),
            ("a /* b /* c */ d */ e", "a  e"),
            (r#"a("b \" c") d"#, "a() d"),
            (r###"a(r#"b " c"#) d"###, "a() d"),
            ("for x in y", "for x in y"),
            ("'a' 'b", " 'b"),
            (r"'\'' x", " x"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"a\nb\" c", "\n c"),
        ] {
            assert_eq!(without_comments_and_texts(text), expected, "{text}");
        }
    }

    #[test]
    fn test_modules_are_no_code() {
        let lines = code_lines("a\n#[cfg(test)]\nmod tests {\n  fn f() {\n  }\n}\nb\n#[cfg(test)]\nmod more;\nc\n");
        let kept: Vec<(usize, &str)> = lines.iter().map(|(line, code)| (*line, code.as_str())).collect();
        assert_eq!(kept, [(1, "a"), (7, "b"), (10, "c")]);
    }
}

//! What the pages say is run: every block of a page that is a statement, a request, a program or a test goes to a program that was started for the
//! page, and the block below it is what it answers.
//!
//! A page is Markdown. A block that begins with three backticks and a word is run:
//!
//! | word | what it is |
//! | --- | --- |
//! | `sql` | statements for the PostgreSQL door |
//! | `shell` | a script for `sh`, with `$HTTP` (`http://host:port`), `$KAFKA`, `$POSTGRES` (host:port) and `headwater` on its path |
//! | `python` | a program for `python3`, with the same variables |
//! | `test` | a test file, run over the application that the page has defined so far |
//! | `app` | definitions, applied through the PostgreSQL door and kept for `test` |
//!
//! A block `text` right behind one of these is what it prints: `…` in it stands for anything. Where there is none it has only to succeed.
//! Any other word, or none, is for reading alone.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use program::Program;

/// A block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// The line of its first backticks, from 1.
    line: usize,
    word: String,
    text: String,
}

/// The blocks of a page, in order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(word)) => {
                open = Some(Block {
                    line: index + 1,
                    word: word.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block of the page is not closed");
    blocks
}

/// Whether a text is what was expected, where `…` stands for anything and blanks at the ends of lines for nothing.
fn matches(expected: &str, came: &str) -> bool {
    let bare = |text: &str| {
        let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    let (expected, came) = (bare(expected), bare(came));
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| came.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// A page, and the program that its blocks are run against.
struct Page {
    name: String,
    folder: tempfile::TempDir,
    program: Program,
    /// The definitions so far.
    application: String,
}

impl Page {
    fn open(path: &Path, application: &str) -> Page {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let data = folder.path().join("data");
        let file = program::application(folder.path(), application);
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("a folder for the program");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_headwater"), bin.join("headwater"))
            .expect("the program is there");
        Page {
            name: path.display().to_string(),
            program: Program::start(&file, &data),
            folder,
            application: application.to_owned(),
        }
    }

    /// Runs a block: what it printed, and whether it succeeded.
    fn run(&mut self, block: &Block) -> Option<(String, bool)> {
        match block.word.as_str() {
            "app" => {
                self.application.push_str(&block.text);
                Some(self.sql(&block.text))
            }
            "sql" => Some(self.sql(&block.text)),
            "shell" => Some(self.command("sh", &["-eu"], &block.text)),
            "python" => Some(self.command("python3", &["-"], &block.text)),
            "test" => Some(self.test(&block.text)),
            _ => None,
        }
    }

    fn sql(&self, text: &str) -> (String, bool) {
        self.command(env!("CARGO_BIN_EXE_headwater"), &["sql", "--file", "-"], text)
    }

    fn test(&self, text: &str) -> (String, bool) {
        let application = self.folder.path().join("application");
        fs::create_dir_all(application.join("tests")).expect("a folder for the test");
        fs::write(application.join("app.sql"), &self.application).expect("the application is written");
        fs::write(application.join("tests/page.test"), text).expect("the test is written");
        self.command(
            env!("CARGO_BIN_EXE_headwater"),
            &["test", &application.display().to_string()],
            "",
        )
    }

    fn command(&self, program: &str, arguments: &[&str], input: &str) -> (String, bool) {
        let input_file = self.folder.path().join("input");
        fs::write(&input_file, input).expect("the input is written");
        let [kafka, postgres, http] = self.program.doors().map(|door| door.to_string());
        let http = format!("http://{http}");
        let bin = self.folder.path().join("bin").display().to_string();
        let search = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PATH", search)
            .env("HEADWATER_TO", &postgres)
            .envs([("KAFKA", &kafka), ("POSTGRES", &postgres), ("HTTP", &http)])
            .stdin(fs::File::open(&input_file).expect("the input is there"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap_or_else(|why| panic!("{program}: {why}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            format!("{}{}", text(output.stdout), text(output.stderr)),
            output.status.success(),
        )
    }
}

/// Runs a page over an application. How many blocks were run.
fn check(path: &str, application: Option<&str>) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path: PathBuf = root.join(path);
    let text = fs::read_to_string(&path).expect("the page is there");
    let application = application.map(|file| fs::read_to_string(root.join(file)).expect("the application is there"));
    let mut page = Page::open(&path, application.as_deref().unwrap_or(""));
    let blocks = blocks(&text);
    let mut run = 0;
    let mut faults: Vec<String> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let Some((came, succeeded)) = page.run(block) else {
            continue;
        };
        run += 1;
        let place = format!("{}:{}", page.name, block.line);
        match blocks.get(index + 1).filter(|next| next.word == "text") {
            Some(expected) if matches(&expected.text, &came) => {}
            Some(expected) => faults.push(format!(
                "{place}\n{}\nanswered\n{came}\nand not\n{}",
                block.text, expected.text
            )),
            None if succeeded => {}
            None => faults.push(format!("{place}\n{}\nfailed: {came}", block.text)),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    run
}

#[test]
fn a_page_is_taken_apart() {
    let page = "a\n```sql\nSELECT 1\n```\nb\n```text\n1\n```\n```\nplain\n```\n";
    let block = |line: usize, word: &str, text: &str| Block {
        line,
        word: word.to_owned(),
        text: text.to_owned(),
    };
    assert_eq!(
        blocks(page),
        [
            block(2, "sql", "SELECT 1\n"),
            block(6, "text", "1\n"),
            block(9, "", "plain\n")
        ]
    );
}

#[test]
fn an_answer_is_what_is_written_but_for_what_is_left_open() {
    for (expected, came, same) in [
        ("a", "a\n", true),
        ("a", "b", false),
        ("a", "ab", false),
        ("a…c", "abbc", true),
        ("a…c", "abbcd", false),
        ("…c", "abc", true),
        ("a…", "abc", true),
        ("a…b…c", "a1b2c", true),
        ("a…x…c", "a1b2c", false),
        ("a \nb", "a\nb  ", true),
    ] {
        assert_eq!(matches(expected, came), same, "{expected:?} {came:?}");
    }
}

#[test]
fn the_page_about_event_sourcing_says_what_is_so() {
    let run = check("docs/event-sourcing.md", None);
    assert!(run >= 35, "{run} blocks were run");
}

#[test]
fn the_page_about_views_says_what_is_so() {
    let run = check("docs/views.md", Some("crates/headwater/tests/pages/views.sql"));
    assert!(run >= 13, "{run} blocks were run");
}

/// A question about the story stands in the page and in the test that answers it.
#[test]
fn the_questions_of_the_banks_story_are_those_that_are_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bank");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("the file is there");
    let words = |text: &str| text.split_whitespace().collect::<Vec<&str>>().join(" ");
    let story = words(&read("tests/story.test"));
    let questions: Vec<Block> = blocks(&read("README.md"))
        .into_iter()
        .filter(|block| block.word == "sql")
        .collect();
    assert!(questions.len() >= 5, "{questions:?}");
    for question in questions {
        let statement = words(question.text.trim().trim_end_matches(';'));
        assert!(story.contains(&statement), "README.md:{}: {statement}", question.line);
    }
}

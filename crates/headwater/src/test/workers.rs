//! Tests side by side: as many threads as the machine has, and what they found in the order of the files.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use headwater_sql::syntax::Parsed;
use tokio::runtime::{Builder, Handle, Runtime};

use super::attempts::Order;
use super::files::TestFile;
use super::script::Test;
use super::trial::{self, Miss};
use super::{Case, Printer, Suite};
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::STATEMENT_STACK_BYTES;

/// The runtime that the statements of all tests share.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .thread_name("tests")
        .thread_stack_size(STATEMENT_STACK_BYTES)
        .enable_all()
        .build()
        .or_exit(Exit::Failed)
}

/// Runs the tests of the files, those with WHEN AT ONCE in so many rounds. A panic in one is its failure.
pub fn run(
    runtime: &Runtime,
    script: &[Parsed],
    files: &[TestFile],
    rounds: u32,
    printer: &Printer,
) -> Result<Vec<Suite>, Failure> {
    let tests: Vec<&Test> = files.iter().flat_map(|file| file.tests.iter().flatten()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let test = tests.get(index)?;
        Some((index, case(runtime.handle(), script, test, rounds)))
    };
    thread::scope(|scope| {
        let (done, cases) = mpsc::channel();
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(tests.len()) {
            let done = done.clone();
            let worker = move || {
                // Nobody listens any more when the others could not be started.
                while work().is_some_and(|case| done.send(case).is_ok()) {}
            };
            let builder = thread::Builder::new().stack_size(STATEMENT_STACK_BYTES);
            builder.spawn_scoped(scope, worker).or_exit(Exit::Failed)?;
        }
        drop(done);
        let mut cases = InOrder {
            cases,
            early: BTreeMap::new(),
            next: 0,
        };
        let suite = |file: &TestFile| suite(file, &mut cases, printer);
        Ok(files.iter().map(suite).collect())
    })
}

/// The outcomes of a file, each printed when it is there.
fn suite(file: &TestFile, cases: &mut InOrder, printer: &Printer) -> Suite {
    printer.file(file);
    let mut suite = Suite {
        file: file.name.clone(),
        cases: Vec::new(),
    };
    let mut take = |case: Case| {
        printer.case(file, &case);
        suite.cases.push(case);
    };
    match &file.tests {
        Ok(tests) => {
            for test in tests {
                let lost = || Case::failed(test, Miss::new(test.line, "a bug: nobody ran this test"));
                take(cases.next().unwrap_or_else(lost));
            }
        }
        Err(miss) => take(Case {
            name: "the file".to_owned(),
            line: miss.line,
            took: Duration::ZERO,
            outcome: Err(miss.clone()),
        }),
    }
    suite
}

/// What the workers send, in the order of the tests.
struct InOrder {
    cases: Receiver<(usize, Case)>,
    /// What came before its turn.
    early: BTreeMap<usize, Case>,
    next: usize,
}

impl Iterator for InOrder {
    type Item = Case;

    fn next(&mut self) -> Option<Case> {
        let index = self.next;
        self.next += 1;
        loop {
            if let Some(case) = self.early.remove(&index) {
                return Some(case);
            }
            let (other, case) = self.cases.recv().ok()?;
            self.early.insert(other, case);
        }
    }
}

/// Runs one test, in as many rounds as it needs.
fn case(runtime: &Handle, script: &[Parsed], test: &Test, rounds: u32) -> Case {
    let began = Instant::now();
    let rounds = if test.is_concurrent() { rounds.max(1) } else { 1 };
    let mut outcome = Ok(());
    for round in 1..=rounds {
        let order = Order { round };
        let run = AssertUnwindSafe(|| trial::run(runtime, script, test, order));
        outcome = catch_unwind(run).unwrap_or_else(|panic| Err(Miss::new(test.line, of_panic(panic.as_ref()))));
        if let Err(miss) = &mut outcome {
            if rounds > 1 {
                miss.text.push_str(&format!("\nin round {round} of {rounds}, {order}"));
            }
            break;
        }
    }
    Case {
        took: began.elapsed(),
        outcome,
        ..Case::failed(test, Miss::new(test.line, ""))
    }
}

impl Case {
    fn failed(test: &Test, miss: Miss) -> Case {
        Case {
            name: test.name.clone(),
            line: test.line,
            took: Duration::ZERO,
            outcome: Err(miss),
        }
    }
}

fn of_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let why = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    format!("a bug: panic: {}", why.unwrap_or("without a message"))
}

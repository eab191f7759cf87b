//! The statements of a WHEN: run, in whatever order, and counted by how they ended.
//!
//! Invariant: every failure is expected by a THEN, or fails the test.

use std::fmt;

use headwater_host::simulated::Random;
use headwater_sql::{SqlError, SqlState};

use super::script::{Attempt, Refusal};
use super::statements::Statements;

/// In which order statements that are run at once begin, and whether each waits for the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// From 1; each round has another order, the same every time.
    pub round: u32,
}

impl Order {
    /// Every second round tries an order one after another, which a race would seldom meet.
    pub fn is_one_after_another(self) -> bool {
        self.round.is_multiple_of(2)
    }

    /// A permutation of so many: as written in the first two rounds, shuffled in those after.
    fn of(self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        if self.round <= 2 {
            return order;
        }
        let mut random = Random::new(u64::from(self.round));
        for last in (1..count).rev() {
            order.swap(last, random.below(last + 1));
        }
        order
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_one_after_another() {
            true => "one statement after another",
            false => "all statements at the same time",
        })?;
        match self.round {
            1 | 2 => f.write_str(", begun as written"),
            _ => f.write_str(", begun in a shuffled order"),
        }
    }
}

/// One statement that was run.
pub struct Attempted {
    line: usize,
    error: Option<SqlError>,
    /// Whether a THEN spoke of the error.
    expected: bool,
}

impl Attempted {
    /// How it ended.
    pub fn new(line: usize, result: Result<(), SqlError>) -> Attempted {
        Attempted {
            line,
            error: result.err(),
            expected: false,
        }
    }

    fn is_refused(&self, refusal: &Refusal) -> bool {
        let Some(error) = self.error.as_ref().filter(|error| is_refusal(error)) else {
            return false;
        };
        let text = refusal.text.as_ref().is_none_or(|text| error.message == *text);
        let code = refusal
            .code
            .as_ref()
            .is_none_or(|code| error.code.as_deref() == Some(code.as_str()));
        text && code
    }

    /// How it ended, in words.
    fn outcome(&self) -> String {
        match &self.error {
            None => "done".to_owned(),
            Some(error) if is_refusal(error) => refused_with(Some(&error.message), error.code.as_deref()),
            Some(error) => format!("error: {error}"),
        }
    }
}

/// Whether a command said no, or what an append depends on does not hold: an answer to be reckoned with, and not a mistake.
fn is_refusal(error: &SqlError) -> bool {
    matches!(error.state, SqlState::REFUSED | SqlState::CONDITION_FAILED)
}

/// Runs the statements, all of them at once or one after another.
pub async fn run(statements: &Statements, attempts: &[Attempt], order: Order) -> Result<Vec<Attempted>, String> {
    let mut done: Vec<Attempted> = Vec::new();
    let mut running = Vec::new();
    for index in order.of(attempts.len()) {
        let Attempt { line, action } = attempts[index].clone();
        let statements = statements.clone();
        let one = async move { Attempted::new(line, statements.act(&action).await) };
        match order.is_one_after_another() {
            true => done.push(one.await),
            false => running.push(tokio::spawn(one)),
        }
    }
    for one in running {
        done.push(one.await.map_err(|why| format!("a bug: {why}"))?);
    }
    done.sort_by_key(|one| one.line);
    Ok(done)
}

/// `THEN N SUCCEED`
pub fn succeeded(attempts: &[Attempted], expected: usize) -> Result<(), String> {
    let came = attempts.iter().filter(|one| one.error.is_none()).count();
    match came == expected {
        true => Ok(()),
        false => Err(format!(
            "{expected} were expected to succeed, {came} did{}",
            outcomes(attempts)
        )),
    }
}

/// `THEN [N] REFUSED 'text' CODE 'code'`
pub fn refused(attempts: &mut [Attempted], count: Option<usize>, refusal: &Refusal) -> Result<(), String> {
    let what = refused_with(refusal.text.as_deref(), refusal.code.as_deref());
    expect(attempts, count, &what, |one| one.is_refused(refusal))
}

/// A refusal, in words.
fn refused_with(text: Option<&str>, code: Option<&str>) -> String {
    let mut words = String::from("refused");
    words.extend(text.map(|text| format!(": {text}")));
    words.extend(code.map(|code| format!(" (code {code})")));
    words
}

/// `THEN [N] ERROR 'text'`
pub fn failed(attempts: &mut [Attempted], count: Option<usize>, text: &str) -> Result<(), String> {
    expect(attempts, count, &format!("an error with: {text}"), |one| {
        one.error.as_ref().is_some_and(|error| error.to_string().contains(text))
    })
}

/// The line and the error of a statement whose failure no THEN expects.
pub fn unexpected(attempts: &[Attempted]) -> Option<(usize, String)> {
    let mut failed = attempts.iter().filter(|one| one.error.is_some() && !one.expected);
    let first = failed.next()?;
    let others = match failed.count() {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    let why = format!("this failed, and no THEN expects it{others}: {}", first.outcome());
    Some((first.line, why))
}

fn expect(
    attempts: &mut [Attempted],
    count: Option<usize>,
    what: &str,
    is_it: impl Fn(&Attempted) -> bool,
) -> Result<(), String> {
    let mut came = 0;
    for one in attempts.iter_mut() {
        if is_it(one) {
            one.expected = true;
            came += 1;
        }
    }
    match count {
        Some(count) if count == came => Ok(()),
        Some(count) => {
            let outcomes = outcomes(attempts);
            Err(format!("{count} were expected to be {what}, {came} were{outcomes}"))
        }
        None if came > 0 => Ok(()),
        None => {
            let outcome = attempts.first().map_or_else(String::new, Attempted::outcome);
            Err(format!("expected {what}\n     got {outcome}"))
        }
    }
}

/// How often each outcome came, a line each.
fn outcomes(attempts: &[Attempted]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for outcome in attempts.iter().map(Attempted::outcome) {
        match counts.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
    }
    counts
        .iter()
        .map(|(outcome, count)| format!("\n{count:>4} {outcome}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempted(outcomes: &[&str]) -> Vec<Attempted> {
        let attempt = |outcome: &&str| match outcome.split_once(':') {
            None => Attempted::new(1, Ok(())),
            Some(("refused", text)) => Attempted::new(2, Err(SqlError::new(SqlState::REFUSED, text).code("no_way"))),
            Some((_, text)) => Attempted::new(3, Err(SqlError::new(SqlState::DATA, text))),
        };
        outcomes.iter().map(attempt).collect()
    }

    #[test]
    fn outcomes_are_counted_and_none_is_overlooked() {
        let text = |text: &str| Refusal {
            text: Some(text.to_owned()),
            code: None,
        };
        let mut four = attempted(&["done", "refused:no", "refused:no", "error:it broke"]);
        assert_eq!(succeeded(&four, 1), Ok(()));
        assert_eq!(
            succeeded(&four, 2).unwrap_err(),
            "2 were expected to succeed, 1 did\n   1 done\n   2 refused: no (code no_way)\n   1 error: it broke"
        );
        assert_eq!(
            unexpected(&four).unwrap(),
            (
                2,
                "this failed, and no THEN expects it (and 2 more): refused: no (code no_way)".to_owned()
            )
        );
        assert!(refused(&mut four, Some(1), &text("no")).is_err());
        assert!(refused(&mut four, Some(0), &text("nn")).is_ok());
        assert_eq!(refused(&mut four, Some(2), &text("no")), Ok(()));
        assert!(unexpected(&four).unwrap().1.ends_with("error: it broke"));
        assert_eq!(failed(&mut four, Some(1), "broke"), Ok(()));
        assert_eq!(unexpected(&four), None);

        let mut one = attempted(&["refused:no"]);
        assert_eq!(
            refused(&mut one, None, &text("yes")).unwrap_err(),
            "expected refused: yes\n     got refused: no (code no_way)"
        );
        assert!(failed(&mut one, None, "other").is_err());
        assert_eq!(refused(&mut one, None, &text("no")), Ok(()));
        let code = |code: &str| Refusal {
            text: None,
            code: Some(code.to_owned()),
        };
        assert_eq!(refused(&mut one, None, &code("no_way")), Ok(()));
        assert!(refused(&mut one, None, &code("never")).is_err());
        assert!(refused(&mut attempted(&["done"]), None, &text("no")).is_err());
    }

    #[test]
    fn every_round_has_an_order_of_its_own() {
        let order = |round: u32| Order { round }.of(50);
        let sorted: Vec<usize> = (0..50).collect();
        assert_eq!(order(1), sorted);
        assert_eq!(order(2), sorted);
        assert_ne!(order(3), sorted);
        assert_ne!(order(3), order(4));
        assert_eq!(order(5), order(5));
        let mut shuffled = order(6);
        shuffled.sort_unstable();
        assert_eq!(shuffled, sorted);
        assert!(Order { round: 7 }.of(0).is_empty());
    }
}

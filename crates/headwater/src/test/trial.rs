//! One test, run: a log of its own, the application's definitions, then step after step.
//!
//! Time stands still while a step is done and goes on by a microsecond after each event and statement, so that no two appends share a moment.

use headwater_host::Clock;
use headwater_host::simulated::SimulatedClock;
use headwater_records::Position;
use headwater_sql::syntax::Parsed;
use tokio::runtime::Handle;

use super::appended::appended;
use super::attempts::{self, Attempted, Order};
use super::compare::{self, Line};
use super::script::{GivenEvent, Step, StepKind, Test};
use super::statements::Statements;
use crate::definitions;
use crate::scratch::Scratch;

/// Why a test failed.
#[derive(Debug, Clone)]
pub struct Miss {
    /// The line of the test file, from 1.
    pub line: usize,
    /// What happened, in one line or more.
    pub text: String,
    /// What was expected and what came, line by line.
    pub difference: Vec<Line>,
}

/// Why a step failed.
#[derive(Debug)]
struct Unmet {
    /// Where, if not where the step begins.
    line: Option<usize>,
    text: String,
    difference: Vec<Line>,
}

impl Miss {
    /// A failure that nothing is compared in.
    pub fn new(line: usize, text: impl Into<String>) -> Miss {
        Miss {
            line,
            text: text.into(),
            difference: Vec::new(),
        }
    }
}

impl<T: Into<String>> From<T> for Unmet {
    fn from(text: T) -> Unmet {
        Unmet {
            line: None,
            text: text.into(),
            difference: Vec::new(),
        }
    }
}

impl Unmet {
    fn of(text: &str, difference: Vec<Line>) -> Unmet {
        Unmet {
            line: None,
            text: text.to_owned(),
            difference,
        }
    }
}

/// Runs one test of the application with these definitions, over a log of its own. Called outside of the runtime.
pub fn run(runtime: &Handle, script: &[Parsed], test: &Test, order: Order) -> Result<(), Miss> {
    let begins_at_us = test.begins_at_us().unwrap_or_else(Scratch::now_us);
    let scratch = Scratch::open(runtime, begins_at_us).map_err(|why| Miss::new(test.line, why.to_string()))?;
    runtime.block_on(async {
        let started = definitions::start(&scratch.pieces, script).await;
        started.map_err(|why| Miss::new(test.line, format!("the application does not start: {why}")))?;
        let mut trial = Trial {
            statements: Statements::over(scratch.pieces.clone()),
            clock: scratch.clock.clone(),
            began_us: begins_at_us,
            order,
            last: None,
        };
        for step in &test.steps {
            trial.step(step).await.map_err(|unmet| Miss {
                line: unmet.line.unwrap_or(step.line),
                text: unmet.text,
                difference: unmet.difference,
            })?;
        }
        trial.nothing_unexpected()
    })
}

/// What the last WHEN did.
struct Done {
    line: usize,
    /// Where every stream stood before.
    before: Position,
    attempts: Vec<Attempted>,
}

struct Trial {
    statements: Statements,
    clock: SimulatedClock,
    /// When the test began, microseconds since 1970.
    began_us: i64,
    order: Order,
    last: Option<Done>,
}

impl Trial {
    async fn step(&mut self, step: &Step) -> Result<(), Unmet> {
        match &step.kind {
            StepKind::At(at_us) => self.set(*at_us).await,
            StepKind::Advance(by_us) => self.advance(*by_us).await,
            StepKind::Given { stream, events } => self.given(stream, events).await,
            StepKind::When(action) => {
                let began = self.begin(step.line).await?;
                let result = self.statements.act(action).await;
                self.advance(1).await?;
                self.last = Some(Done {
                    attempts: vec![Attempted::new(step.line, result)],
                    ..began
                });
                Ok(())
            }
            StepKind::AtOnce(attempts) => {
                let began = self.begin(step.line).await?;
                let attempts = attempts::run(&self.statements, attempts, self.order).await?;
                self.advance(1).await?;
                self.last = Some(Done { attempts, ..began });
                Ok(())
            }
            StepKind::Succeed(count) => {
                let done = self.done()?;
                Ok(attempts::succeeded(&done.attempts, *count)?)
            }
            StepKind::Refused { count, refusal } => {
                let done = self.done()?;
                Ok(attempts::refused(&mut done.attempts, *count, refusal)?)
            }
            StepKind::Error { count, text } => {
                let done = self.done()?;
                Ok(attempts::failed(&mut done.attempts, *count, text)?)
            }
            StepKind::Events { stream, events } => {
                self.nothing_unexpected_before()?;
                let done = self.done()?;
                let before = done.before.clone();
                self.settled().await?;
                let pieces = self.statements.pieces();
                let came = appended(&pieces.log, &pieces.catalog, stream, &before)?;
                compare::events(events, &came).map_err(|lines| Unmet::of("other events were appended", lines))
            }
            StepKind::Rows { question, rows } => {
                self.nothing_unexpected_before()?;
                let got = self.statements.run(question).await.map_err(|why| why.to_string())?;
                let ordered = question.to_ascii_uppercase().contains("ORDER BY");
                compare::rows(rows, &got, ordered).map_err(|lines| Unmet::of("the answer has other rows", lines))
            }
        }
    }

    async fn set(&self, at_us: i64) -> Result<(), Unmet> {
        if at_us < self.clock.now_us() {
            let why = "it is later than that already: time only goes forward, and a test begins at the first time that it names";
            return Err(why.into());
        }
        self.pass_to(at_us).await
    }

    async fn advance(&self, by_us: i64) -> Result<(), Unmet> {
        self.pass_to(self.clock.now_us().saturating_add(by_us)).await
    }

    /// Time goes on to this moment. What becomes due on the way is appended at its own moment.
    async fn pass_to(&self, at_us: i64) -> Result<(), Unmet> {
        let pieces = self.statements.pieces();
        let (schedules, commands) = (&pieces.schedules, &pieces.commands);
        loop {
            let next = [schedules.next_us(), commands.next_tick_us(self.began_us)];
            let Some(due_us) = next.into_iter().flatten().min().filter(|due_us| *due_us <= at_us) else {
                break;
            };
            self.clock.set(due_us.max(self.clock.now_us()));
            let appended = schedules.append_due().await.map_err(|why| why.to_string())?;
            let (made, failed) = commands.make_ticks(self.began_us).await;
            if let Some((name, why)) = failed.first() {
                return Err(format!("the schedule '{name}' cannot make its tick: {why}").into());
            }
            if appended + made == 0 {
                break;
            }
        }
        self.clock.set(at_us);
        Ok(())
    }

    /// A WHEN begins: what was before has to be done with.
    async fn begin(&self, line: usize) -> Result<Done, Unmet> {
        self.nothing_unexpected_before()?;
        Ok(Done {
            line,
            before: self.settled().await?,
            attempts: Vec::new(),
        })
    }

    /// Where every stream stands when pipelines made of their events what they make.
    async fn settled(&self) -> Result<Position, Unmet> {
        let settled = self.statements.settled().await;
        settled.map_err(|why| why.to_string().into())
    }

    fn done(&mut self) -> Result<&mut Done, Unmet> {
        self.last.as_mut().ok_or_else(|| "there was no WHEN before".into())
    }

    async fn given(&self, stream: &str, events: &[GivenEvent]) -> Result<(), Unmet> {
        for event in events {
            if let Some(at_us) = event.at_us {
                self.set(at_us)
                    .await
                    .map_err(|unmet| format!("the event on line {}: {}", event.line, unmet.text))?;
            }
            let appended = self
                .statements
                .append(stream, std::slice::from_ref(&event.json), "")
                .await;
            appended.map_err(|why| format!("the event on line {} is not taken: {why}", event.line))?;
            self.advance(1).await?;
        }
        Ok(())
    }

    /// Nothing that the last WHEN ran failed, or a THEN expected it.
    fn nothing_unexpected(&self) -> Result<(), Miss> {
        let Some(done) = &self.last else { return Ok(()) };
        match attempts::unexpected(&done.attempts) {
            Some((line, why)) => Err(Miss::new(line.max(done.line), why)),
            None => Ok(()),
        }
    }

    fn nothing_unexpected_before(&self) -> Result<(), Unmet> {
        self.nothing_unexpected().map_err(|miss| Unmet {
            line: Some(miss.line),
            text: miss.text,
            difference: miss.difference,
        })
    }
}

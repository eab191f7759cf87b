//! Commands on a real log in a scratch folder.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::physical_plan::common::collect;
use headwater_catalog::Catalog;
use headwater_commands::{Arguments, CommandError, CommandOutcome, Commands, CommandsOptions};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_records::Position;
use headwater_schedules::{Schedules, SchedulesOptions};
use headwater_sql::parse::parse;
use headwater_sql::syntax::Statement;
use headwater_sql::{Engine, EngineOptions, Outcome, Session};
use headwater_views::{ViewOptions, Views};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What the tests decide over.
pub const BANK: &str = "
CREATE STREAM transactions (
  account TEXT NOT NULL,
  kind    TEXT NOT NULL,
  amount  DECIMAL(18,2) NOT NULL,
  teller  TEXT
) KEY (account) WITH (partitions = 4);
CREATE STREAM audit (what TEXT NOT NULL, amount DECIMAL(18,2)) WITH (partitions = 2);
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries
FROM transactions GROUP BY account;
CREATE COMMAND deposit (account TEXT, amount DECIMAL(18,2), teller TEXT)
INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
AS SELECT account, 'deposit' AS kind, amount, teller;
CREATE COMMAND withdraw (account TEXT, amount DECIMAL(18,2), teller TEXT)
INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds'
AS SELECT account, 'withdrawal' AS kind, amount, teller;
CREATE COMMAND transfer (source TEXT, target TEXT, amount DECIMAL(18,2))
INTO transactions
REQUIRE (SELECT balance FROM balances b WHERE b.account = source) >= amount ELSE 'insufficient funds'
AS VALUES (source, 'withdrawal', amount), (target, 'deposit', amount),
INTO audit AS SELECT 'transfer ' || source || ' to ' || target AS what, amount;
CREATE COMMAND open_once (account TEXT)
INTO transactions
REQUIRE NOT EXISTS (SELECT 1 FROM balances b WHERE b.account = open_once.account) ELSE 'the account is there already'
AS SELECT account, 'deposit' AS kind, 0 AS amount;
CREATE COMMAND note (account TEXT)
INTO audit
REQUIRE (SELECT entries FROM balances b WHERE b.account = note.account) IS NOT NULL ELSE 'unknown account'
AS SELECT account AS what;
CREATE COMMAND greet (account TEXT)
INTO audit
REQUIRE coalesce((SELECT entries FROM balances b WHERE b.account = greet.account), 0) < 1 ELSE 'known already'
AS SELECT account AS what;
CREATE COMMAND settle ()
INTO audit
REQUIRE (SELECT sum(balance) FROM balances) >= 0 ELSE 'the bank is short'
AS SELECT 'settled' AS what, sum(balance) AS amount FROM balances;
";

/// Commands over a scratch folder.
pub struct Scratch {
    pub commands: Commands,
    pub engine: Engine,
    pub log: EventLog,
    views: Views,
}

/// How commands of the tests are bounded.
pub fn options() -> CommandsOptions {
    CommandsOptions {
        decide_max: Duration::from_secs(120),
        idempotency_ttl: Duration::from_secs(3600),
        ..CommandsOptions::default()
    }
}

impl Scratch {
    /// An application whose commands are compiled: each by its first call, whatever that says.
    pub async fn compiled(folder: &Path, definitions: &str, calls: &[(&str, &str)]) -> Arc<Scratch> {
        let scratch = Scratch::open(folder);
        scratch.define(definitions).await;
        for (command, arguments) in calls {
            let _ = scratch.call(command, arguments, None).await;
        }
        Arc::new(scratch)
    }

    pub fn open(folder: &Path) -> Scratch {
        Scratch::bounded(folder, options())
    }

    /// With commands that are bounded otherwise.
    pub fn bounded(folder: &Path, options: CommandsOptions) -> Scratch {
        let bounds = options;
        let (log, _) = EventLog::open(Host::real(), &folder.join("log"), LogOptions::default()).expect("the log opens");
        let catalog = Catalog::open(log.clone()).expect("the catalog opens");
        let options = ViewOptions {
            flush_bytes: 1 << 20,
            flush_ms: 50,
            memory_bytes_max: 1 << 24,
            snapshot_events: 4,
            ..ViewOptions::default()
        };
        let views = Views::open(log.clone(), catalog.clone(), &folder.join("views"), options);
        let options = EngineOptions {
            memory_bytes_max: 256 << 20,
            partitions_default: 2,
            wait_max: Duration::from_secs(60),
            ..EngineOptions::default()
        };
        let engine = Engine::new(log.clone(), catalog, views.clone(), options);
        let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).expect("the schedules open");
        engine.set_schedules(schedules);
        let commands = Commands::open(engine.clone(), Handle::current(), bounds).expect("the commands open");
        let failed = engine.start_views();
        assert!(failed.is_empty(), "{failed:?}");
        Scratch {
            commands,
            engine,
            log,
            views,
        }
    }

    /// With the bank's definitions.
    pub async fn bank(folder: &Path) -> Scratch {
        let scratch = Scratch::open(folder);
        scratch.define(BANK).await;
        scratch
    }

    /// Applies definitions.
    pub async fn define(&self, definitions: &str) {
        let script = parse(definitions, "app.sql").expect("the definitions parse");
        let applied = self.engine.apply(&session(), &script).await;
        applied.expect("the definitions are applied");
    }

    pub fn close(self) {
        self.views.close();
        self.log.close();
    }

    /// Calls a command with arguments as JSON.
    pub async fn call(
        &self,
        command: &str,
        arguments: &str,
        key: Option<&str>,
    ) -> Result<CommandOutcome, CommandError> {
        let arguments = Arguments::Json(arguments.to_owned().into());
        self.commands.call(&session(), command, arguments, key).await
    }

    /// The rows of a question, everything that is in the log included, as lines; or the error.
    pub async fn rows(&self, statement: &str) -> String {
        let mut after = Position::new();
        for stream in self.log.streams() {
            after.advance_all(&self.log.position(&stream.name).unwrap_or_default());
        }
        let session = Session {
            after: Some(after),
            ..session()
        };
        let parsed = match parse(statement, "") {
            Ok(parsed) => parsed,
            Err(error) => return format!("{}: {error}", error.state.0),
        };
        let parsed = parsed.first().expect("a statement");
        if let Statement::Query(question) = &parsed.statement {
            let (_, batches, _) = self
                .engine
                .ask(&session, question, &[])
                .await
                .expect("the question is answered");
            return lines(&batches);
        }
        match self.engine.execute(&session, parsed, &[]).await {
            Ok(Outcome::Done { tag, .. } | Outcome::Told { tag, .. }) => tag,
            Ok(Outcome::Rows { rows, .. }) => {
                let batches = collect(rows).await.expect("the rows come");
                lines(&batches)
            }
            Err(error) => format!("{}: {error}", error.state.0),
        }
    }
}

/// Waits until something holds. The deadline is for a test that would never end.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting)
        .await
        .expect(what);
}

/// Makes calls on tasks of their own, and comes back once each of them is done or waits for others.
pub async fn begun<Call>(calls: impl IntoIterator<Item = Call>) -> Vec<JoinHandle<Call::Output>>
where
    Call: Future<Output: Send + 'static> + Send + 'static,
{
    let begun = Arc::new(Semaphore::new(0));
    let calling = calls.into_iter().map(|call| {
        let begun = Arc::clone(&begun);
        tokio::spawn(async move {
            let mut call = pin!(call);
            let first = futures::poll!(call.as_mut());
            begun.add_permits(1);
            match first {
                Poll::Ready(answer) => answer,
                Poll::Pending => call.await,
            }
        })
    });
    let calling: Vec<_> = calling.collect();
    let all = begun.acquire_many(calling.len() as u32).await;
    drop(all.expect("nobody closes it"));
    calling
}

fn lines(batches: &[RecordBatch]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let values = columns.map(|column| array_value_to_string(column, row).expect("a value"));
            lines.push(values.collect::<Vec<String>>().join("|"));
        }
    }
    lines.join("\n")
}

pub fn session() -> Session {
    Session {
        principal: "ann".to_owned(),
        ..Session::default()
    }
}

/// What came of a call, in a line.
pub fn line(outcome: &Result<CommandOutcome, CommandError>) -> String {
    match outcome {
        Ok(outcome) => {
            let events = outcome
                .events
                .iter()
                .map(|event| format!("{} {}", event.address.stream, event.json));
            events.collect::<Vec<String>>().join("; ")
        }
        Err(error) => format!("{}: {error}", kind(error)),
    }
}

fn kind(error: &CommandError) -> &'static str {
    match error {
        CommandError::Unknown(_) => "unknown",
        CommandError::Arguments(_) => "arguments",
        CommandError::KeysFull(_) => "keys full",
        CommandError::Busy(_) => "busy",
        CommandError::Append(_) => "append",
        CommandError::Refused(_) => "refused",
        CommandError::KeyReused => "key reused",
        CommandError::AnswerGone => "answer gone",
        CommandError::Late(_) => "late",
        CommandError::Sql(_) => "sql",
        CommandError::Log(_) => "log",
        CommandError::BrokeOff => "internal",
    }
}

//! How many commands a second are decided, each checked against a balance and durable when it is answered, and how long one takes.
//!
//! ```text
//! cargo run --release -p headwater-benchmarks --bin decide_speed [CLIENTS] [ACCOUNTS] [SECONDS] [EVENTS]
//! ```
//!
//! The clients call in this process, with arguments as JSON as the HTTP door has them: what is measured is the decision, the log and the view. First
//! every client withdraws from any of the accounts, then all of them from one, then one client from an account of ten events and from one of EVENTS.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_benchmarks::Failure;
use headwater_commands::{Arguments, Commands, CommandsOptions};
use headwater_sql::parse::parse;
use headwater_sql::{Engine, EngineOptions, Outcome, Session};
use headwater_views::ViewOptions;
use tokio::runtime::Runtime;

const BANK: &str = "
CREATE STREAM transactions (account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT)
KEY (account) WITH (partitions = 4);
CREATE MATERIALIZED VIEW balances STORED AS document AS
SELECT account, sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries
FROM transactions GROUP BY account;
CREATE COMMAND withdraw (account TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT DEFAULT NULL)
INTO transactions
REQUIRE amount > 0 ELSE 'the amount must be positive'
REQUIRE (SELECT balance FROM balances b WHERE b.account = withdraw.account) >= amount ELSE 'insufficient funds' CODE 'insufficient_funds'
AS SELECT account, 'withdrawal' AS kind, amount, teller;
";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (clients, accounts, seconds) = (number(256)?, number(100_000)?, number(5)?);
    let events = number(1_000_000)?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (engine, commands) = open(folder.path(), &runtime)?;
    runtime.block_on(define(&engine))?;
    let deposits =
        format!("SELECT 'account ' || value, 'deposit', 1000000, NULL FROM generate_series(0, {accounts} - 1)");
    runtime.block_on(insert(&engine, &deposits))?;
    for (name, events) in [("short", 10), ("long", events)] {
        // An INSERT takes a million rows, and this is many of them.
        for first in (0..events).step_by(500_000) {
            let last = events.min(first + 500_000) - 1;
            let deposits = format!("SELECT '{name} 0', 'deposit', 1000, NULL FROM generate_series({first}, {last})");
            runtime.block_on(insert(&engine, &deposits))?;
        }
    }
    let long = format!("an account of {events} events");
    for (name, account, accounts, clients) in [
        ("any account", "account", accounts, clients),
        ("one account", "account", 1, clients),
        ("an account of 10 events", "short", 1, 1),
        (long.as_str(), "long", 1, 1),
    ] {
        let time = Duration::from_secs(seconds);
        let mut latencies = runtime.block_on(measure(&commands, clients, account, accounts, time))?;
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        writeln!(
            std::io::stdout(),
            "{name}: {clients} clients, {:.0} commands/s, p50 {:.2} ms, p99 {:.2} ms",
            latencies.len() as f64 / seconds as f64,
            at(0.5) as f64 / 1e3,
            at(0.99) as f64 / 1e3
        )?;
    }
    Ok(())
}

fn open(folder: &Path, runtime: &Runtime) -> Result<(Engine, Commands), Failure> {
    let engine = headwater_benchmarks::open(folder, ViewOptions::default(), EngineOptions::default())?;
    let options = CommandsOptions {
        decide_max: Duration::from_secs(5),
        ..CommandsOptions::default()
    };
    let commands = Commands::open(engine.clone(), runtime.handle().clone(), options)?;
    Ok((engine, commands))
}

fn session() -> Session {
    Session {
        principal: "bench".to_owned(),
        ..Session::default()
    }
}

async fn define(engine: &Engine) -> Result<(), Failure> {
    engine.apply(&session(), &parse(BANK, "")?).await?;
    Ok(())
}

/// Appends rows, and waits for the view to have them.
async fn insert(engine: &Engine, rows: &str) -> Result<(), Failure> {
    for parsed in parse(&format!("INSERT INTO transactions {rows}"), "")? {
        let Outcome::Done {
            position: Some(position),
            ..
        } = engine.execute(&session(), &parsed, &[]).await?
        else {
            return Err("the deposits have no position".into());
        };
        let view = engine.views().get("balances").ok_or("the view is not there")?;
        view.wait_for(&position, Duration::from_secs(120)).await?;
    }
    Ok(())
}

/// The time of each call, in microseconds.
async fn measure(
    commands: &Commands,
    clients: u64,
    account: &'static str,
    accounts: u64,
    time: Duration,
) -> Result<Vec<u64>, Failure> {
    let until = Instant::now() + time;
    let session = Arc::new(session());
    let mut calling = Vec::new();
    for client in 0..clients {
        let (commands, session) = (commands.clone(), Arc::clone(&session));
        calling.push(tokio::spawn(async move {
            let mut latencies: Vec<u64> = Vec::new();
            // A multiplicative generator (Lehmer) is random enough to spread over accounts.
            let mut state = client * 2 + 1;
            while Instant::now() < until {
                state = state.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(1);
                let number = (state >> 33) % accounts;
                let arguments = format!(r#"{{"account":"{account} {number}","amount":0.01}}"#);
                let began = Instant::now();
                let arguments = Arguments::Json(arguments.into());
                commands
                    .call(&session, "withdraw", arguments, None)
                    .await
                    .map_err(|error| error.to_string())?;
                latencies.push(began.elapsed().as_micros() as u64);
            }
            Ok::<Vec<u64>, String>(latencies)
        }));
    }
    let mut latencies: Vec<u64> = Vec::new();
    for calls in calling {
        latencies.extend(calls.await??);
    }
    Ok(latencies)
}

//! SELECT of one row through a prepared statement, beside PostgreSQL: pgbench asks both the same script, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use headwater_records::Event;

use super::{fill, postgres};
use crate::machine::Process;
use crate::program::Program;

const HEADWATER_SQL: &str = "\
CREATE STREAM deposits (aid INT NOT NULL, amount BIGINT NOT NULL) WITH (partitions = 4);
CREATE MATERIALIZED VIEW accounts STORED AS document AS
SELECT aid, sum(amount) AS abalance FROM deposits GROUP BY aid;
";

/// What is measured, and how much is asked.
pub struct Prepared<'a> {
    pub program: &'a Path,
    pub scratch: &'a Path,
    pub rows: u64,
    pub clients: u32,
    pub seconds: u64,
}

/// What pgbench said of one server.
struct Asked {
    rate: f64,
    milliseconds: f64,
    server: Duration,
    wall: Duration,
}

/// Asks PostgreSQL, then the program.
pub async fn run(what: Prepared<'_>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(what.scratch)?;
    let script = folder.path().join("select.sql");
    let text = format!(
        "\\set aid random(0, {})\nSELECT abalance FROM accounts WHERE aid = :aid;\n",
        what.rows - 1
    );
    std::fs::write(&script, text)?;
    let peer = match postgres::programs() {
        Some(programs) => Some(beside(&what, &programs, &script).await?),
        None => {
            println!("SKIPPED PostgreSQL: there is no pg_ctl");
            None
        }
    };
    let running = Program::spawn(what.program, folder.path(), HEADWATER_SQL)?;
    let deposit = |row| Event {
        value: Some(format!("{{\"aid\":{row},\"amount\":{row}}}").into()),
        ..Event::default()
    };
    fill(&running, "deposits", what.rows, deposit, |row| {
        format!("/views/accounts/{row}")
    })
    .await?;
    running.wait_for(running.postgres).await?;
    let asked = what.pgbench(running.postgres, running.process(), &script)?;
    asked.print("Headwater", peer.as_ref());
    Ok(())
}

async fn beside(what: &Prepared<'_>, programs: &Path, script: &Path) -> anyhow::Result<Asked> {
    // Not inside of a folder that only its owner may enter: the server runs as another user.
    let folder = tempfile::Builder::new().prefix("headwater-postgres").tempdir()?;
    let peer = postgres::start(programs, folder.path()).await?;
    let table = "CREATE TABLE accounts (aid int PRIMARY KEY, abalance bigint NOT NULL)";
    postgres::statement(&peer, table)?;
    let rows = format!(
        "INSERT INTO accounts SELECT aid, aid FROM generate_series(0, {}) aid",
        what.rows - 1
    );
    postgres::statement(&peer, &rows)?;
    postgres::statement(&peer, "VACUUM ANALYZE accounts")?;
    let asked = what.pgbench(peer.at, peer.process(), script)?;
    asked.print("PostgreSQL", None);
    Ok(asked)
}

impl Prepared<'_> {
    fn pgbench(&self, at: SocketAddr, server: Process, script: &Path) -> anyhow::Result<Asked> {
        let (begun, before) = (Instant::now(), server.processor_time_with_children()?);
        let ran = Command::new("pgbench")
            .args(["-h", "127.0.0.1", "-p", &at.port().to_string(), "-U", "bench"])
            .args([
                "-n",
                "-M",
                "prepared",
                "-c",
                &self.clients.to_string(),
                "-T",
                &self.seconds.to_string(),
                "-f",
            ])
            .arg(script)
            .arg("postgres")
            .stdin(Stdio::null())
            .output()
            .context("pgbench does not start")?;
        let wall = begun.elapsed();
        ensure!(
            ran.status.success(),
            "pgbench: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        // Sessions of PostgreSQL are processes of their own: their time is the server's once it has noticed their end.
        std::thread::sleep(Duration::from_millis(200));
        let said = String::from_utf8_lossy(&ran.stdout);
        let number = |what: &str| -> anyhow::Result<f64> {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.with_context(|| format!("pgbench says {what}"))?.parse()?)
        };
        Ok(Asked {
            rate: number("tps = ")?,
            milliseconds: number("latency average = ")?,
            server: server.processor_time_with_children()?.saturating_sub(before),
            wall,
        })
    }
}

impl Asked {
    fn print(&self, name: &str, base: Option<&Asked>) {
        let ratio = base.map_or_else(String::new, |base| {
            format!("   {:.2} x PostgreSQL", self.rate / base.rate)
        });
        println!(
            "{:<44} {:>10.0}/s   mean {:>6.3} ms   {:.1} µs of the server's processor time for each{ratio}",
            format!("SELECT by key, prepared: {name}"),
            self.rate,
            self.milliseconds,
            self.server.as_secs_f64() * 1e6 / (self.rate * self.wall.as_secs_f64()),
        );
    }
}

//! PostgreSQL as a peer: a cluster of its own, as `initdb` makes it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::peer::Peer;
use crate::program::free_address;

/// `nobody`, on every Linux: the server refuses to run as root.
const NOBODY: u32 = 65_534;
/// How long the server may take to answer its first statement.
const START_MAX: Duration = Duration::from_secs(30);

/// The folder of PostgreSQL's programs, where they are installed.
pub fn programs() -> Option<PathBuf> {
    let newest = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        versions.flatten().map(|version| version.path().join("bin")).max()
    };
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).find(|folder| folder.join("pg_ctl").exists()));
    on_path.or_else(newest).filter(|folder| folder.join("initdb").exists())
}

/// Starts a server with an empty cluster in `folder`.
pub async fn start(programs: &Path, folder: &Path) -> anyhow::Result<Peer> {
    let is_root = std::fs::read_to_string("/proc/self/status")?
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    let command = |name: &str| {
        let mut command = Command::new(programs.join(name));
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    if is_root {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let data = folder.join("data");
    let made = command("initdb")
        .arg("-D")
        .arg(&data)
        .args(["-U", "bench", "-A", "trust", "--no-sync"])
        .status()
        .context("initdb does not start")?;
    ensure!(made.success(), "initdb failed in {}", folder.display());
    let at = free_address()?;
    let child = command("postgres")
        .arg("-D")
        .arg(&data)
        .args(["-h", "127.0.0.1", "-p", &at.port().to_string()])
        .arg("-k")
        .arg(folder)
        .spawn()
        .context("postgres does not start")?;
    let peer = Peer::new(child, at);
    let begun = Instant::now();
    while statement(&peer, "SELECT 1").is_err() {
        ensure!(
            begun.elapsed() < START_MAX,
            "PostgreSQL does not answer after {START_MAX:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(peer)
}

/// Runs a statement by psql.
pub fn statement(peer: &Peer, text: &str) -> anyhow::Result<()> {
    let ran = Command::new("psql")
        .args(["-h", "127.0.0.1", "-p", &peer.at.port().to_string()])
        .args([
            "-U",
            "bench",
            "-d",
            "postgres",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            text,
        ])
        .stdin(Stdio::null())
        .output()
        .context("psql does not start")?;
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

//! GET by key over HTTP, beside a bare axum handler that answers bytes of the same shape and beside Redis, by the same client in the same run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;

use super::client::{Load, Measured};
use super::peer::Peer;
use super::{fill, http, redis};
use crate::produce::{self, BANK_SQL};
use crate::program::{Program, free_address};

const BODY: &str = r#"{"account":"account-77777","balance":123456.78,"entries":1,"updated_at":"2026-01-01T00:00:00Z"}"#;
const ADDRESS: &str = "/views/balances/account-";
const KEY: &str = "account-";

/// What is measured, and with what.
pub struct PointRead<'a> {
    pub program: &'a Path,
    pub redis: &'a str,
    pub scratch: &'a Path,
    pub load: Load,
}

/// Fills a view with accounts and asks for random ones.
pub async fn run(what: PointRead<'_>) -> anyhow::Result<()> {
    let PointRead { load, .. } = what;
    let bare = bare_handler(load).await?;
    bare.print(&format!("bare axum handler, {} connections", load.connections), None);
    let beside = match redis::start(what.redis)? {
        Some(peer) => Some(redis_get(&peer, load).await?),
        None => {
            println!(
                "SKIPPED Redis: there is no {} (Debian's package redis-server has it)",
                what.redis
            );
            None
        }
    };
    if let Some(redis) = &beside {
        redis.print("Redis GET", Some(("the bare handler", &bare)));
    }
    let folder = tempfile::tempdir_in(what.scratch)?;
    let running = Program::spawn(what.program, folder.path(), BANK_SQL)?;
    let deposit = |row| produce::deposit(row, row + 1);
    fill(&running, "transactions", load.rows, deposit, |row| {
        format!("{ADDRESS}{row}")
    })
    .await?;
    let measured = load.run(running.http, running.process(), http::Get(ADDRESS)).await?;
    let base = beside
        .as_ref()
        .map_or(("the bare handler", &bare), |redis| ("Redis", redis));
    measured.print("GET /views/balances/KEY", Some(base));
    Ok(())
}

async fn redis_get(peer: &Peer, load: Load) -> anyhow::Result<Measured> {
    peer.listens().await?;
    redis::fill(peer.at, KEY, load.rows, BODY.as_bytes()).await?;
    load.run(peer.at, peer.process(), redis::Get(KEY)).await
}

/// The peer: axum alone, in a process of its own as the program is.
pub async fn serve_bare_handler(address: SocketAddr) -> anyhow::Result<()> {
    let answer = || async { ([(header::CONTENT_TYPE, "application/json")], BODY) };
    let router = Router::new().route("/views/balances/{key}", get(answer));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
    Ok(())
}

async fn bare_handler(load: Load) -> anyhow::Result<Measured> {
    let at = free_address()?;
    let child = Command::new(std::env::current_exe()?)
        .args(["bare-handler", &at.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .context("the bare handler does not start")?;
    let peer = Peer::new(child, at);
    peer.listens().await?;
    load.run(at, peer.process(), http::Get(ADDRESS)).await
}

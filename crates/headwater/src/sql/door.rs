//! The connection to a running program, through its PostgreSQL door.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use super::notices::Notices;
use super::reading::Reading;
use crate::exit::{Exit, Failure, OrExit};

/// How long a door may take for its first words.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// Does something with the program at an address.
pub(super) fn connected<T>(
    to: &str,
    work: impl AsyncFnOnce(&Client, &Notices) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (host, port) = address(to)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::Failed)?;
    runtime.block_on(async {
        let mut config = Config::new();
        config
            .host(&host)
            .port(port)
            .user(user())
            .dbname("headwater")
            .application_name("headwater sql");
        let (client, connection) = match tokio::time::timeout(GREETING_MAX, config.connect(NoTls)).await {
            Ok(connected) => connected.map_err(|why| unreachable(to, &why))?,
            Err(_) => {
                return Err(another_door(
                    to,
                    &format!("it says nothing for {} s", GREETING_MAX.as_secs()),
                ));
            }
        };
        let notices = Notices::new(Reading::on_terminal());
        let connection = tokio::spawn(notices.clone().listen(connection));
        let answer = work(&client, &notices).await;
        drop(client);
        let _ = connection.await;
        answer
    })
}

/// Host and port of `HOST:PORT`.
fn address(text: &str) -> Result<(String, u16), Failure> {
    let refuse = || {
        Failure::new(
            Exit::Usage,
            format!("--to '{text}' is no address: write it as 127.0.0.1:5433"),
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
    let port: u16 = port.parse().map_err(|_| refuse())?;
    match host.trim_start_matches('[').trim_end_matches(']') {
        "" => Err(refuse()),
        host if host.contains('/') => Err(refuse()),
        host => Ok((host.to_owned(), port)),
    }
}

/// Who asks: written beside every event that a statement appends.
fn user() -> String {
    ["PGUSER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "headwater".to_owned())
}

fn unreachable(address: &str, why: &tokio_postgres::Error) -> Failure {
    let cause = why.source();
    let shown = cause.map_or_else(|| why.to_string(), ToString::to_string);
    if why.as_db_error().is_some() {
        return Failure::new(Exit::Failed, format!("the program at {address} refuses: {shown}"));
    }
    // What says something else than PostgreSQL's protocol, or nothing, is there all the same.
    let is_of_network = cause
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|error| {
            use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
            !matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
        });
    match is_of_network {
        true => {
            let advice = "start the program with 'headwater run', or name its PostgreSQL door with --to";
            Failure::new(Exit::Failed, format!("nothing answers at {address}: {shown}; {advice}"))
        }
        false => another_door(address, &shown),
    }
}

fn another_door(address: &str, why: &str) -> Failure {
    let advice = "name the door that 'headwater run' calls postgres with --to";
    Failure::new(
        Exit::Failed,
        format!("what answers at {address} is no PostgreSQL door: {why}; {advice}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        for (text, expected) in [
            ("127.0.0.1:5433", Some(("127.0.0.1", 5433))),
            ("[::1]:5433", Some(("::1", 5433))),
            ("localhost:1", Some(("localhost", 1))),
            ("localhost", None),
            (":5433", None),
            ("a:65536", None),
            ("http://127.0.0.1:8090", None),
        ] {
            let got = address(text).ok();
            assert_eq!(
                got.as_ref().map(|(host, port)| (host.as_str(), *port)),
                expected,
                "{text}"
            );
        }
    }
}

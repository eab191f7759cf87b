//! A door over real pieces in a scratch folder.

use std::sync::Arc;
use std::time::Duration;

use headwater_catalog::Catalog;
use headwater_commands::{Commands, CommandsOptions};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_postgres_api::{PostgresOptions, serve};
use headwater_sql::{Engine, EngineOptions};
use headwater_views::{ViewOptions, Views};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// An open door.
pub struct Door {
    pub port: u16,
    pub shutdown: watch::Sender<bool>,
    pub serving: JoinHandle<()>,
    engine: Engine,
    /// Decides calls as long as it is held.
    _commands: Commands,
    _folder: TempDir,
}

/// What the server said beside its answers: severity, SQLSTATE.
pub type Notices = Arc<std::sync::Mutex<Vec<(String, String)>>>;

impl Door {
    pub async fn open(change: impl FnOnce(&mut PostgresOptions)) -> Door {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().to_owned();
        let (engine, commands) = spawn_blocking(move || {
            let (log, _) =
                EventLog::open(Host::real(), &path.join("log"), LogOptions::default()).expect("the log opens");
            let catalog = Catalog::open(log.clone()).expect("the catalog opens");
            let options = ViewOptions {
                flush_bytes: 1 << 20,
                flush_ms: 200,
                memory_bytes_max: 1 << 24,
                snapshot_events: 4,
                ..ViewOptions::default()
            };
            let views = Views::open(log.clone(), catalog.clone(), &path.join("views"), options);
            let options = EngineOptions {
                memory_bytes_max: 1 << 28,
                partitions_default: 2,
                wait_max: Duration::from_secs(120),
                ..EngineOptions::default()
            };
            let engine = Engine::new(log, catalog, views, options);
            let options = CommandsOptions {
                decide_max: Duration::from_secs(120),
                idempotency_ttl: Duration::from_secs(60),
                ..CommandsOptions::default()
            };
            let commands = Commands::open(engine.clone(), Handle::current(), options).expect("the commands open");
            (engine, commands)
        })
        .await
        .expect("the pieces open");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut options = PostgresOptions::new(Handle::current());
        change(&mut options);
        let (shutdown, stopping) = watch::channel(false);
        let serving = serve(listener, engine.clone(), options, stopping);
        let serving = tokio::spawn(async move { serving.await.expect("the door serves") });
        Door {
            port,
            shutdown,
            serving,
            engine,
            _commands: commands,
            _folder: folder,
        }
    }

    /// A client and what the server says to it beside its answers.
    pub async fn client(&self) -> (Client, Notices) {
        self.try_client().await.expect("the door lets a client in")
    }

    pub async fn try_client(&self) -> Result<(Client, Notices), tokio_postgres::Error> {
        let config = format!("host=127.0.0.1 port={} user=ann dbname=any", self.port);
        let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await?;
        let notices = Notices::default();
        let heard = Arc::clone(&notices);
        tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(notice) = message {
                    let notice = (notice.severity().to_owned(), notice.code().code().to_owned());
                    heard.lock().expect("no test panics here").push(notice);
                }
            }
        });
        Ok((client, notices))
    }

    /// Stops everything, so that the folder can go.
    pub async fn close(self) {
        self.shutdown.send_replace(true);
        self.serving.await.expect("the door stops");
        let engine = self.engine;
        spawn_blocking(move || {
            engine.views().close();
            engine.log().close();
        })
        .await
        .expect("the pieces close");
    }
}

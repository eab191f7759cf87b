//! The Kafka door over a log in a folder, inside the test's own process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_kafka_api::{Broker, KafkaOptions, serve};
use headwater_schedules::{Schedules, SchedulesOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An open door.
pub struct Door {
    pub address: SocketAddr,
    pub log: EventLog,
    pub catalog: Catalog,
    pub schedules: Schedules,
    pub broker: Broker,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Door {
    /// Opens the log in `folder` and serves it on a free port, at an address of its own: nobody is given its port while it is shut.
    pub async fn open(folder: &Path, options: KafkaOptions) -> Door {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Door::open_at(SocketAddr::from(([127, high, low, number], 0)), folder, options).await
    }

    /// Opens the log in `folder` and serves it at an address: where a door was before, its clients find the way back.
    pub async fn open_at(address: SocketAddr, folder: &Path, options: KafkaOptions) -> Door {
        let folder = folder.to_owned();
        let opening = tokio::task::spawn_blocking(move || {
            let (log, _) = EventLog::open(Host::real(), &folder, LogOptions::default()).unwrap();
            let catalog = Catalog::open(log.clone()).unwrap();
            let schedules = Schedules::open(log.clone(), SchedulesOptions::default()).unwrap();
            let broker = Broker::new(log.clone(), catalog.clone(), schedules.clone(), options).unwrap();
            (log, catalog, schedules, broker)
        });
        let (log, catalog, schedules, broker) = opening.await.unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, broker.clone(), stopped));
        Door {
            address,
            log,
            catalog,
            schedules,
            broker,
            stop,
            serving,
        }
    }

    /// Stops serving and closes the log, so that the folder can be opened again.
    pub async fn close(self) {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
        drop((self.broker, self.catalog, self.schedules));
        let log = self.log;
        tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    }
}

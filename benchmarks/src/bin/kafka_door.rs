//! The Kafka door alone, over a log in a folder: `kafka_door [ADDRESS] [FOLDER] [NAME=VALUE…]`. Stops on Ctrl-C.

use std::path::PathBuf;

use headwater_benchmarks as _;
use headwater_catalog::Catalog;
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::Host;
use headwater_kafka_api::{Broker, KafkaOptions, serve};
use headwater_schedules::{Schedules, SchedulesOptions};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "headwater-data".to_owned()));
    let mut options = KafkaOptions {
        default_partitions: 2,
        ..KafkaOptions::default()
    };
    for setting in arguments {
        options.set(&setting)?;
    }
    let (broker, log) = tokio::task::spawn_blocking(move || {
        let (log, _recovery) = EventLog::open(Host::real(), &folder, LogOptions::default())?;
        let catalog = Catalog::open(log.clone())?;
        let schedules = Schedules::open(log.clone(), SchedulesOptions::default())?;
        let broker = Broker::new(log.clone(), catalog, schedules, options)?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((broker, log))
    })
    .await?
    .map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(&address).await?;
    println!("kafka {}", listener.local_addr()?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(serve(listener, broker.clone(), stopped));
    tokio::signal::ctrl_c().await?;
    let _ = stop.send(true);
    serving.await?;
    println!("{:?}", broker.metrics());
    tokio::task::spawn_blocking(move || log.close()).await?;
    Ok(())
}

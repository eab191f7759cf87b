//! How a program is set up: options before environment variables before `headwater.toml` before defaults.
//!
//! The environment is read by the command line's parser, so that an option and its variable arrive here as one.

mod numbers;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use headwater_commands::CommandsOptions;
use headwater_eventlog::LogOptions;
use headwater_http_api::HttpOptions;
use headwater_kafka_api::KafkaOptions;
use headwater_sql::parse::span_ms;
use serde::Deserialize;

use crate::arguments;
use crate::exit::{Exit, Failure};
use crate::pieces::PiecesOptions;
use crate::text_file;

/// The settings file in an application's folder.
const FILE: &str = "headwater.toml";
const DATA_DEFAULT: &str = "./headwater-data";
const KAFKA_DEFAULT: &str = "127.0.0.1:9092";
const POSTGRES_DEFAULT: &str = "127.0.0.1:5433";
const HTTP_DEFAULT: &str = "127.0.0.1:8090";

/// Where one door is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nowhere.
    Closed,
    /// At this address; port 0: at a free one.
    At(SocketAddr),
}

/// How a program is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the log and the views live.
    pub data: PathBuf,
    /// For Kafka clients.
    pub kafka: Door,
    /// For PostgreSQL clients.
    pub postgres: Door,
    /// For services and browsers.
    pub http: Door,
    /// How the pieces behind the doors are opened.
    pub pieces: PiecesOptions,
    /// How the Kafka door behaves.
    pub kafka_options: KafkaOptions,
    /// How the HTTP door behaves.
    pub http_options: HttpOptions,
    /// What is written to standard error, where it was said.
    pub log: Option<String>,
}

/// `headwater.toml`: the same keys as the options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    kafka: Option<String>,
    postgres: Option<String>,
    http: Option<String>,
    #[serde(default)]
    http_hosts: Vec<String>,
    idempotency_retention: Option<String>,
    entity_memory_bytes: Option<toml::Value>,
    view_memory_bytes: Option<toml::Value>,
    schedules_max: Option<toml::Value>,
    rewind_events_max: Option<toml::Value>,
    log: Option<String>,
    /// Kafka's names and values: numbers and truth values may stand without quotes.
    #[serde(default)]
    kafka_settings: toml::Table,
}

impl Settings {
    /// What the options (with their variables) and the settings file in `folder` say.
    pub fn read(options: &arguments::Run, log: Option<&str>, folder: &Path) -> Result<Settings, Failure> {
        let path = folder.join(FILE);
        let text = match text_file::read(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(refused(format!("{} cannot be read: {why}", path.display()))),
        };
        let file = File::parse(&text, &path)?;
        Settings::resolve(options, log, file, folder)
    }

    fn resolve(options: &arguments::Run, log: Option<&str>, file: File, folder: &Path) -> Result<Settings, Failure> {
        let door = |option: &Option<String>, file: Option<String>, name: &str, default: &str| {
            let text = option.clone().or(file).unwrap_or_else(|| default.to_owned());
            Door::parse(&text).map_err(|why| refused(format!("{name} = '{text}': {why}")))
        };
        let http_options = HttpOptions {
            hosts: hosts(&options.http_hosts, file.http_hosts)?,
            ..HttpOptions::default()
        };
        let entity_memory_bytes = numbers::text("entity_memory_bytes", file.entity_memory_bytes)?;
        let view_memory_bytes = numbers::text("view_memory_bytes", file.view_memory_bytes)?;
        let schedules_max = numbers::text("schedules_max", file.schedules_max)?;
        let rewind_events_max = numbers::text("rewind_events_max", file.rewind_events_max)?;
        let kafka_options = kafka_options(&options.kafka_settings, file.kafka_settings)?;
        let log_options = LogOptions {
            producer_silent_max: kafka_options.producer_expiration,
            ..numbers::log(options.entity_memory_bytes.clone().or(entity_memory_bytes))?
        };
        Ok(Settings {
            // A path in the file counts from the file, one on the command line from where the command was given.
            data: options
                .data
                .clone()
                .or(file.data.map(|data| match data.as_os_str().is_empty() {
                    true => data,
                    false => folder.join(data),
                }))
                .unwrap_or_else(|| PathBuf::from(DATA_DEFAULT)),
            kafka: door(&options.kafka, file.kafka, "kafka", KAFKA_DEFAULT)?,
            postgres: door(&options.postgres, file.postgres, "postgres", POSTGRES_DEFAULT)?,
            http: door(&options.http, file.http, "http", HTTP_DEFAULT)?,
            pieces: PiecesOptions {
                log: log_options,
                views: numbers::views(options.view_memory_bytes.clone().or(view_memory_bytes))?,
                schedules: numbers::schedules(options.schedules_max.clone().or(schedules_max))?,
                questions: numbers::questions(options.rewind_events_max.clone().or(rewind_events_max))?,
                commands: commands(options.idempotency_retention.clone().or(file.idempotency_retention))?,
                is_copy: false,
            },
            kafka_options,
            http_options,
            log: log.map(str::to_owned).or(file.log),
        })
    }
}

fn commands(retention: Option<String>) -> Result<CommandsOptions, Failure> {
    let mut options = CommandsOptions::default();
    if let Some(text) = retention {
        let span = span_ms(&text).ok().filter(|span| *span > 0);
        let span = span.ok_or_else(|| {
            refused(format!(
                "idempotency_retention = '{text}': write a whole number and a unit, such as '24 hours' or '7 days'"
            ))
        })?;
        options.idempotency_ttl = Duration::from_millis(span);
    }
    Ok(options)
}

/// The names by which the HTTP door may be asked: those of the command line, or else the file's.
fn hosts(given: &[String], file: Vec<String>) -> Result<Arc<[String]>, Failure> {
    // A variable that is set to nothing says nothing.
    let given: Vec<&String> = given.iter().filter(|name| !name.is_empty()).collect();
    let names: Vec<String> = match given.is_empty() {
        true => file,
        false => given.into_iter().cloned().collect(),
    };
    let is_name = |name: &String| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !name.is_empty() && name.bytes().all(is_of_name)
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(refused(format!(
            "http_hosts: '{name}' is no name of a host: write it without a scheme and a port, as in bank.example"
        ))),
        None => Ok(names.into()),
    }
}

/// The file's settings, then those of the command line.
fn kafka_options(given: &[String], file: toml::Table) -> Result<KafkaOptions, Failure> {
    let mut settings: Vec<String> = Vec::new();
    for (name, value) in file {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => {
                return Err(refused(format!(
                    "kafka_settings.{name} in {FILE} is no text, whole number or truth value; a name with dots stands in quotes: \"num.partitions\" = 4"
                )));
            }
        };
        settings.push(format!("{name}={value}"));
    }
    // A variable that is set to nothing says nothing.
    settings.extend(given.iter().filter(|setting| !setting.is_empty()).cloned());
    let mut options = KafkaOptions::default();
    for setting in settings {
        options.set(&setting).map_err(|why| refused(why.to_string()))?;
    }
    Ok(options)
}

fn refused(why: String) -> Failure {
    Failure {
        exit: Exit::Usage,
        why: anyhow!(why),
    }
}

impl File {
    fn parse(text: &str, path: &Path) -> Result<File, Failure> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| place(text, span.start));
            // The keys are said once, below.
            let what = error.message().split(", expected").next().unwrap_or_default();
            refused(format!(
                "{}:{line}:{column}: {what}; the keys are data, kafka, postgres, http, http_hosts, idempotency_retention, entity_memory_bytes, view_memory_bytes, schedules_max, rewind_events_max, log and the table kafka_settings",
                path.display()
            ))
        })
    }
}

/// Line and column, from 1, of a byte of a text.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

impl Door {
    fn parse(text: &str) -> Result<Door, String> {
        if text == "none" {
            return Ok(Door::Closed);
        }
        let advice = "write it as 127.0.0.1:9092, with port 0 for a free one, or none for no door";
        let mut addresses = text
            .to_socket_addrs()
            .map_err(|why| format!("it is no address ({why}); {advice}"))?;
        addresses
            .next()
            .map(Door::At)
            .ok_or_else(|| format!("the name has no address; {advice}"))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Closed => f.write_str("none"),
            Door::At(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(data: Option<&str>, kafka: Option<&str>) -> arguments::Run {
        arguments::Run {
            application: PathBuf::from("app"),
            data: data.map(PathBuf::from),
            kafka: kafka.map(str::to_owned),
            postgres: None,
            http: None,
            http_hosts: Vec::new(),
            idempotency_retention: None,
            entity_memory_bytes: None,
            view_memory_bytes: None,
            schedules_max: None,
            rewind_events_max: None,
            kafka_settings: Vec::new(),
        }
    }

    fn check(options: &arguments::Run, text: &str, expected: Result<(&str, &str), &str>) {
        let folder = Path::new("app");
        let settings =
            File::parse(text, &folder.join(FILE)).and_then(|file| Settings::resolve(options, None, file, folder));
        match (settings, expected) {
            (Ok(settings), Ok((data, kafka))) => {
                assert_eq!(settings.data, Path::new(data), "{text}");
                assert_eq!(settings.kafka.to_string(), kafka, "{text}");
            }
            (Err(failure), Err(why)) => {
                assert_eq!(failure.exit, Exit::Usage);
                assert!(failure.to_string().contains(why), "{failure}");
            }
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn an_option_goes_before_the_file_and_the_file_before_the_default() {
        check(&options(None, None), "", Ok(("./headwater-data", "127.0.0.1:9092")));
        check(
            &options(None, None),
            "data = 'd'\nkafka = 'none'",
            Ok(("app/d", "none")),
        );
        check(&options(None, None), "data = '/d'", Ok(("/d", "127.0.0.1:9092")));
        check(
            &options(Some("e"), Some("127.0.0.1:0")),
            "data = 'd'\nkafka = 'none'",
            Ok(("e", "127.0.0.1:0")),
        );
        check(&options(Some("e"), Some("none")), "", Ok(("e", "none")));
    }

    #[test]
    fn sizes_and_counts_are_options_and_keys_like_the_others() {
        let check = |given: Option<&str>, text: &str, expected: Result<(usize, usize, usize), &str>| {
            let options = arguments::Run {
                entity_memory_bytes: given.map(str::to_owned),
                ..options(None, None)
            };
            let file = File::parse(text, Path::new(FILE));
            let settings = file.and_then(|file| Settings::resolve(&options, None, file, Path::new("app")));
            let found = settings.map(|settings| {
                let PiecesOptions {
                    log, views, schedules, ..
                } = settings.pieces;
                let mebibytes = [log.entity_memory_bytes, views.memory_bytes_max].map(|bytes| bytes >> 20);
                (mebibytes[0], mebibytes[1], schedules.pending_max)
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(failure), Err(why)) => assert!(failure.to_string().contains(why), "{failure}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        };
        let file = "entity_memory_bytes = '32 MiB'\nview_memory_bytes = '1 GiB'\nschedules_max = 7";
        check(None, "", Ok((64, 256, 4_000_000)));
        check(None, file, Ok((32, 1_024, 7)));
        check(Some("16 MiB"), file, Ok((16, 1_024, 7)));
        check(None, "entity_memory_bytes = 1", Err("from 1048576 to 1099511627776"));
        check(
            None,
            "schedules_max = 0",
            Err("schedules_max = '0': write a whole number"),
        );
        check(None, "schedules_max = [7]", Err("no text and no whole number"));
    }

    #[test]
    fn kafkas_settings_come_from_the_file_and_then_from_the_command_line() {
        fn check(given: &[&str], text: &str, expected: Result<(u32, bool), &str>) {
            let given: Vec<String> = given.iter().map(|&setting| setting.to_owned()).collect();
            let got = File::parse(text, Path::new(FILE)).and_then(|file| kafka_options(&given, file.kafka_settings));
            match (got, expected) {
                (Ok(options), Ok(expected)) => {
                    assert_eq!((options.default_partitions, options.auto_create), expected, "{text}");
                }
                (Err(failure), Err(why)) => assert!(failure.to_string().contains(why), "{failure}"),
                (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
            }
        }
        let file = "[kafka_settings]\n\"num.partitions\" = 4\n\"auto.create.topics.enable\" = false";
        check(&[], "", Ok((1, true)));
        check(&[], file, Ok((4, false)));
        check(&["num.partitions=5"], file, Ok((5, false)));
        check(&[""], file, Ok((4, false)));
        check(&["num.partitions=none"], file, Err("cannot be 'none'"));
        check(
            &[],
            "[kafka_settings]\nnum.partitions = 4",
            Err("a name with dots stands in quotes"),
        );
    }

    #[test]
    fn how_long_silent_producers_are_known_is_kafkas_setting_and_the_logs() {
        fn check(text: &str, expected_ms: u128) {
            let file = File::parse(text, Path::new(FILE));
            let settings = file.and_then(|file| Settings::resolve(&options(None, None), None, file, Path::new("app")));
            let log = settings.expect("it is taken").pieces.log;
            assert_eq!(log.producer_silent_max.as_millis(), expected_ms, "{text}");
        }
        check("", 604_800_000);
        check("[kafka_settings]\n\"producer.id.expiration.ms\" = 60000", 60_000);
    }

    #[test]
    fn hosts_come_from_the_command_line_or_from_the_file() {
        fn check(given: &[&str], text: &str, expected: Result<&[&str], &str>) {
            let options = arguments::Run {
                http_hosts: given.iter().map(|&name| name.to_owned()).collect(),
                ..options(None, None)
            };
            let file = File::parse(text, Path::new(FILE));
            let settings = file.and_then(|file| Settings::resolve(&options, None, file, Path::new("app")));
            match (settings, expected) {
                (Ok(settings), Ok(expected)) => assert_eq!(settings.http_options.hosts.as_ref(), expected, "{text}"),
                (Err(failure), Err(why)) => assert!(failure.to_string().contains(why), "{failure}"),
                (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
            }
        }
        let file = "http_hosts = ['bank.example', 'b-2']";
        check(&[], "", Ok(&[]));
        check(&[], file, Ok(&["bank.example", "b-2"]));
        check(&["c"], file, Ok(&["c"]));
        check(&[""], file, Ok(&["bank.example", "b-2"]));
        check(&["http://c"], "", Err("http_hosts: 'http://c' is no name of a host"));
        check(&[], "http_hosts = ['c:8090']", Err("without a scheme and a port"));
        check(&[], "http_hosts = 'c'", Err("headwater.toml:1:14: invalid type"));
    }

    #[test]
    fn idempotency_keys_are_remembered_as_long_as_is_said() {
        for (text, expected) in [
            (None, Some(24 * 60 * 60 * 1_000)),
            (Some("7 days"), Some(7 * 24 * 60 * 60 * 1_000)),
            (Some("90 s"), Some(90_000)),
            (Some("1500"), Some(1_500)),
            (Some("0"), None),
            (Some("forever"), None),
            (Some("soon"), None),
        ] {
            let options = commands(text.map(str::to_owned)).ok();
            let span = options.map(|options| options.idempotency_ttl.as_millis());
            assert_eq!(span, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        check(
            &options(None, None),
            "data = 'd'\n  kafkaa = 'none'",
            Err("headwater.toml:2:3: unknown field `kafkaa`"),
        );
        check(
            &options(None, None),
            "kafka = 9092",
            Err("headwater.toml:1:9: invalid type"),
        );
        check(&options(None, None), "kafka 9092", Err("headwater.toml:1:"));
        check(
            &options(None, None),
            "kafka = '9092'",
            Err("kafka = '9092': it is no address"),
        );
        check(&options(None, Some("127.0.0.1")), "", Err("write it as 127.0.0.1:9092"));
        check(&options(None, Some("127.0.0.1:65536")), "", Err("it is no address"));
    }
}

//! The broker's settings by the names that Kafka gives them: read from `NAME=VALUE`, and told to clients by DescribeConfigs.
//!
//! One table says both, so that what can be set is what is told.

use std::time::Duration;

use headwater_records::limits::PARTITIONS_MAX;

use crate::KafkaOptions;
use crate::topic_configs::{self, TOPIC_CONFIGS};

/// One setting: how its value is written, and how one is taken.
pub(crate) struct Setting {
    /// Kafka's name for it.
    pub(crate) name: &'static str,
    /// The value in force.
    pub(crate) value: fn(&KafkaOptions) -> String,
    take: fn(&mut KafkaOptions, &str) -> Result<(), &'static str>,
}

/// Every setting there is, by name.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "accept.any.replication.factor",
        value: |options| options.any_replication_factor.to_string(),
        take: |options, text| {
            options.any_replication_factor = text.parse().map_err(|_| "it is true or false")?;
            Ok(())
        },
    },
    Setting {
        name: "advertised.listeners",
        value: |options| match &options.advertised {
            Some((host, port)) => format!("PLAINTEXT://{host}:{port}"),
            None => String::new(),
        },
        take: |options, text| {
            options.advertised = Some(listener(text)?);
            Ok(())
        },
    },
    Setting {
        name: "auto.create.topics.enable",
        value: |options| options.auto_create.to_string(),
        take: |options, text| {
            options.auto_create = text.parse().map_err(|_| "it is true or false")?;
            Ok(())
        },
    },
    Setting {
        name: "connections.max.idle.ms",
        value: |options| options.connection_idle_max.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.connection_idle_max, text),
    },
    Setting {
        name: "default.replication.factor",
        value: |_| "1".to_owned(),
        take: |_, text| match text {
            "1" => Ok(()),
            _ => Err("it is 1: there is one broker"),
        },
    },
    Setting {
        name: "group.consumer.assignment.interval.ms",
        value: |options| options.group_consumer_assignment_interval.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_consumer_assignment_interval, text),
    },
    Setting {
        name: "group.consumer.heartbeat.interval.ms",
        value: |options| options.group_consumer_heartbeat.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_consumer_heartbeat, text),
    },
    Setting {
        name: "group.consumer.session.timeout.ms",
        value: |options| options.group_consumer_session.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_consumer_session, text),
    },
    Setting {
        name: "group.initial.rebalance.delay.ms",
        value: |options| options.group_initial_delay.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_initial_delay, text),
    },
    Setting {
        name: "group.max.session.timeout.ms",
        value: |options| options.group_session_max.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_session_max, text),
    },
    Setting {
        name: "group.max.size",
        value: |options| options.group_members_max.to_string(),
        take: |options, text| {
            options.group_members_max = at_least_one(text)? as usize;
            Ok(())
        },
    },
    Setting {
        name: "group.min.session.timeout.ms",
        value: |options| options.group_session_min.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_session_min, text),
    },
    Setting {
        name: "group.share.auto.offset.reset",
        value: |options| options.share_begins.to_string(),
        take: |options, text| {
            options.share_begins = text.parse()?;
            Ok(())
        },
    },
    Setting {
        name: "group.share.delivery.count.limit",
        value: |options| options.share_deliveries_max.to_string(),
        take: |options, text| {
            options.share_deliveries_max = at_least_one(text)?.try_into().map_err(|_| "it is 32767 at most")?;
            Ok(())
        },
    },
    Setting {
        name: "group.share.heartbeat.interval.ms",
        value: |options| options.group_share_heartbeat.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_share_heartbeat, text),
    },
    Setting {
        name: "group.share.max.size",
        value: |options| options.group_share_members_max.to_string(),
        take: |options, text| {
            options.group_share_members_max = at_least_one(text)? as usize;
            Ok(())
        },
    },
    Setting {
        name: "group.share.partition.max.record.locks",
        value: |options| options.share_window.to_string(),
        take: |options, text| {
            options.share_window = at_least_one(text)?.into();
            Ok(())
        },
    },
    Setting {
        name: "group.share.record.lock.duration.ms",
        value: |options| options.share_lock.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.share_lock, text),
    },
    Setting {
        name: "group.share.session.timeout.ms",
        value: |options| options.group_share_session.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.group_share_session, text),
    },
    Setting {
        name: "max.connections",
        value: |options| options.connections_max.to_string(),
        take: |options, text| {
            options.connections_max = at_least_one(text)? as usize;
            Ok(())
        },
    },
    Setting {
        name: "max.incremental.fetch.session.cache.slots",
        value: |options| options.fetch_sessions_max.to_string(),
        take: |options, text| {
            options.fetch_sessions_max = text.parse().map_err(|_| "it is a whole number; 0 keeps no sessions")?;
            Ok(())
        },
    },
    Setting {
        name: "node.id",
        value: |options| options.node_id.to_string(),
        take: |options, text| {
            let number = text.parse().ok().filter(|number| *number >= 0);
            options.node_id = number.ok_or("it is a whole number from 0 to 2147483647")?;
            Ok(())
        },
    },
    Setting {
        name: "num.partitions",
        value: |options| options.default_partitions.to_string(),
        take: |options, text| {
            let partitions = at_least_one(text).ok().filter(|count| *count <= PARTITIONS_MAX);
            options.default_partitions = partitions.ok_or("it is a whole number from 1 to 10000")?;
            Ok(())
        },
    },
    Setting {
        name: "offsets.retention.check.interval.ms",
        value: |options| options.offsets_check_interval.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.offsets_check_interval, text),
    },
    Setting {
        name: "offsets.retention.minutes",
        value: |options| (options.offsets_retention.as_secs() / 60).to_string(),
        take: |options, text| {
            options.offsets_retention = Duration::from_secs(u64::from(at_least_one(text)?) * 60);
            Ok(())
        },
    },
    Setting {
        name: "producer.id.expiration.ms",
        value: |options| options.producer_expiration.as_millis().to_string(),
        take: |options, text| {
            options.producer_expiration = Duration::from_millis(at_least_one(text)?.into());
            Ok(())
        },
    },
    Setting {
        name: "socket.receive.buffer.bytes",
        value: |options| buffer_text(options.receive_buffer_bytes),
        take: |options, text| {
            options.receive_buffer_bytes = buffer(text)?;
            Ok(())
        },
    },
    Setting {
        name: "socket.request.max.bytes",
        value: |options| options.frame_bytes_max.to_string(),
        take: |options, text| {
            options.frame_bytes_max = at_least_one(text)? as usize;
            Ok(())
        },
    },
    Setting {
        name: "socket.send.buffer.bytes",
        value: |options| buffer_text(options.send_buffer_bytes),
        take: |options, text| {
            options.send_buffer_bytes = buffer(text)?;
            Ok(())
        },
    },
    Setting {
        name: "transaction.max.timeout.ms",
        value: |options| options.transaction_timeout_max.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.transaction_timeout_max, text),
    },
    Setting {
        name: "transaction.remove.expired.transaction.cleanup.interval.ms",
        value: |options| options.transactional_ids_check_interval.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.transactional_ids_check_interval, text),
    },
    Setting {
        name: "transactional.id.expiration.ms",
        value: |options| options.transactional_id_expiration.as_millis().to_string(),
        take: |options, text| milliseconds(&mut options.transactional_id_expiration, text),
    },
];

/// Why a setting was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// It has no `=`.
    #[error("'{0}' is no setting of the Kafka door: write NAME=VALUE, as in num.partitions=4")]
    Shape(String),
    /// There is none of that name.
    #[error("the Kafka door has no setting '{name}'; it has {}", names())]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The value is none of this setting's.
    #[error("the setting {name} of the Kafka door cannot be '{value}': {why}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What a value looks like.
        why: String,
    },
}

impl KafkaOptions {
    /// Takes `NAME=VALUE`, with Kafka's names.
    pub fn set(&mut self, setting: &str) -> Result<(), SettingError> {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(SettingError::Shape(setting.to_owned()));
        };
        let (name, value) = (name.trim(), value.trim());
        let Some(known) = SETTINGS.iter().find(|known| known.name == name) else {
            return self.set_of_topics(name, value);
        };
        (known.take)(self, value).map_err(|why| SettingError::Value {
            name: known.name,
            value: value.to_owned(),
            why: why.to_owned(),
        })
    }

    /// Takes what stands behind the configurations of topics.
    fn set_of_topics(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let Some(config) = TOPIC_CONFIGS.iter().find(|config| config.broker == name) else {
            return Err(SettingError::Unknown { name: name.to_owned() });
        };
        let taken = topic_configs::set(&mut self.topic_defaults, config.name, Some(value));
        let taken = taken.and_then(|()| self.topic_defaults.check().map_err(|error| error.to_string()));
        taken.map_err(|why| SettingError::Value {
            name: config.broker,
            value: value.to_owned(),
            why,
        })
    }
}

fn names() -> String {
    let topics = TOPIC_CONFIGS.iter().map(|config| config.broker);
    let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).chain(topics).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.join(", ")
}

fn milliseconds(into: &mut Duration, text: &str) -> Result<(), &'static str> {
    let milliseconds: u32 = text.parse().map_err(|_| "it is a number of milliseconds")?;
    *into = Duration::from_millis(milliseconds.into());
    Ok(())
}

/// Numbers of Kafka's `int`, from 1.
fn at_least_one(text: &str) -> Result<u32, &'static str> {
    match text.parse::<i32>() {
        Ok(number) if number >= 1 => Ok(number.unsigned_abs()),
        _ => Err("it is a whole number from 1 to 2147483647"),
    }
}

/// As Kafka writes a socket's buffer: -1 is the system's.
fn buffer(text: &str) -> Result<Option<u32>, &'static str> {
    match text {
        "-1" => Ok(None),
        _ => at_least_one(text)
            .map(Some)
            .map_err(|_| "it is a whole number from 1 to 2147483647, or -1: as the system has it"),
    }
}

fn buffer_text(bytes: Option<u32>) -> String {
    bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string())
}

fn listener(text: &str) -> Result<(String, u16), &'static str> {
    let shape = "it is one listener without encryption, as in PLAINTEXT://broker.example:9092";
    let address = text.strip_prefix("PLAINTEXT://").ok_or(shape)?;
    let (host, port) = address.rsplit_once(':').ok_or(shape)?;
    match port.parse() {
        Ok(port) if port != 0 && !host.is_empty() && !host.contains(',') => Ok((host.to_owned(), port)),
        _ => Err(shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a setting after it was set; or what the refusal says.
    fn check(setting: &str, expected: Result<&str, &str>) {
        let mut options = KafkaOptions::default();
        match (options.set(setting), expected) {
            (Ok(()), Ok(told)) => {
                let (name, _) = setting.split_once('=').expect("it was taken");
                let known = SETTINGS.iter().find(|known| known.name == name.trim());
                assert_eq!((known.expect("it was found").value)(&options), told, "{setting}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{setting}: {error}"),
            (got, _) => panic!("{setting}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_was_set_is_told_and_what_cannot_be_is_refused() {
        check("num.partitions=4", Ok("4"));
        check(" num.partitions = 4 ", Ok("4"));
        check("num.partitions=1", Ok("1"));
        check("num.partitions=0", Err("from 1 to 10000"));
        check("num.partitions=10000", Ok("10000"));
        check("num.partitions=10001", Err("from 1 to 10000"));
        check("num.partitions", Err("write NAME=VALUE"));
        check(
            "num.partition=4",
            Err("it has accept.any.replication.factor, advertised.listeners, "),
        );
        check("auto.create.topics.enable=false", Ok("false"));
        check("auto.create.topics.enable=no", Err("it is true or false"));
        check("group.min.session.timeout.ms=1000", Ok("1000"));
        check("group.max.session.timeout.ms=-1", Err("a number of milliseconds"));
        check("group.initial.rebalance.delay.ms=0", Ok("0"));
        check("group.max.size=7", Ok("7"));
        check("group.max.size=0", Err("from 1 to 2147483647"));
        check("group.consumer.session.timeout.ms=45000", Ok("45000"));
        check("group.consumer.heartbeat.interval.ms=5000", Ok("5000"));
        check("group.consumer.assignment.interval.ms=1000", Ok("1000"));
        check("group.share.max.size=200", Ok("200"));
        check(
            "transaction.remove.expired.transaction.cleanup.interval.ms=500",
            Ok("500"),
        );
        check("default.replication.factor=1", Ok("1"));
        check("default.replication.factor=3", Err("there is one broker"));
        check("offsets.retention.minutes=1", Ok("1"));
        check("producer.id.expiration.ms=86400000", Ok("86400000"));
        check("producer.id.expiration.ms=0", Err("from 1 to 2147483647"));
        check("group.share.session.timeout.ms=45000", Ok("45000"));
        check("group.share.heartbeat.interval.ms=5000", Ok("5000"));
        check("group.share.auto.offset.reset=earliest", Ok("earliest"));
        check(
            "group.share.auto.offset.reset=by_duration:PT1M",
            Ok("by_duration:PT60.000S"),
        );
        check(
            "group.share.auto.offset.reset=by_duration",
            Err("earliest, latest, or by_duration"),
        );
        check("group.share.delivery.count.limit=10", Ok("10"));
        check("group.share.delivery.count.limit=65536", Err("at most"));
        check("group.share.partition.max.record.locks=100", Ok("100"));
        check("group.share.record.lock.duration.ms=1000", Ok("1000"));
        check("offsets.retention.check.interval.ms=1000", Ok("1000"));
        check("max.connections=7", Ok("7"));
        check("accept.any.replication.factor=true", Ok("true"));
        check("connections.max.idle.ms=1000", Ok("1000"));
        check("node.id=0", Ok("0"));
        check("node.id=-1", Err("from 0 to 2147483647"));
        check("max.incremental.fetch.session.cache.slots=0", Ok("0"));
        check("socket.request.max.bytes=1000", Ok("1000"));
        check("socket.receive.buffer.bytes=65536", Ok("65536"));
        check("socket.send.buffer.bytes=-1", Ok("-1"));
        check("socket.send.buffer.bytes=0", Err("or -1"));
        check("advertised.listeners=PLAINTEXT://b:1", Ok("PLAINTEXT://b:1"));
        check(
            "advertised.listeners=PLAINTEXT://[::1]:9092",
            Ok("PLAINTEXT://[::1]:9092"),
        );
        check("advertised.listeners=SSL://b:1", Err("without encryption"));
        check("advertised.listeners=PLAINTEXT://b:0", Err("without encryption"));
        check(
            "advertised.listeners=PLAINTEXT://b:1,PLAINTEXT://c:1",
            Err("one listener"),
        );
    }

    #[test]
    fn what_stands_behind_topics_is_kept_for_those_to_come() {
        let mut options = KafkaOptions::default();
        for setting in [
            "message.max.bytes=5000",
            "log.retention.ms=60000",
            "log.message.timestamp.type=LogAppendTime",
        ] {
            options.set(setting).unwrap();
        }
        let defaults = &options.topic_defaults;
        assert_eq!(
            (defaults.batch_bytes_max, defaults.retention_ms()),
            (Some(5_000), Some(60_000))
        );
        check("message.max.bytes=-1", Err("from 0 to 2147483647"));
        check(
            "log.cleanup.policy=squeeze",
            Err("log.cleanup.policy of the Kafka door cannot be 'squeeze'"),
        );
        check("log.cleaner.threads=2", Err("log.retention.ms"));
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }
}

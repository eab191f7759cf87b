//! The configurations of a topic by the names that Kafka gives them: how each is read into a stream's settings, and written from them.
//!
//! Three kinds: those that the log keeps to, under a name of its own; those that are kept and shown and change nothing, because what they
//! ask for is so already or has no meaning with one broker; and everything else, which is refused.
//!
//! Source: Apache Kafka 4.x, `TopicConfig` and `LogConfig`.

mod config;
mod table;

use headwater_eventlog::{LogOptions, SettingError, StreamSettings};

pub(crate) use config::{KINDS, Kind, Means, TopicConfig};
pub(crate) use table::TOPIC_CONFIGS;

/// A configuration with its value.
pub(crate) struct Valued {
    pub(crate) config: &'static TopicConfig,
    pub(crate) value: String,
    pub(crate) default: String,
    /// Whether the default was set when the broker was started.
    pub(crate) is_started: bool,
    /// Whether it was set of this topic to something else.
    pub(crate) is_set: bool,
}

/// The configuration of a name, or why there is none.
pub(crate) fn find(name: &str) -> Result<&'static TopicConfig, String> {
    let found = TOPIC_CONFIGS.iter().find(|config| config.name == name);
    found.ok_or_else(|| format!("Unknown topic config name: {name}"))
}

/// Sets a configuration, or goes back to what the broker was started with.
pub(crate) fn set_or_default(
    settings: &mut StreamSettings,
    name: &str,
    value: Option<&str>,
    defaults: &StreamSettings,
) -> Result<(), String> {
    let started = defaults.get(&key(find(name)?));
    match value {
        // As it stands in the log's own words.
        None if started.is_some() => {
            let back = settings.set(&key(find(name)?), started.as_deref());
            back.map_err(|error| error.to_string())
        }
        value => set(settings, name, value),
    }
}

/// Sets a configuration, or takes it back.
pub(crate) fn set(settings: &mut StreamSettings, name: &str, value: Option<&str>) -> Result<(), String> {
    let config = find(name)?;
    let Some(value) = value else {
        return settings.set(&key(config), None).map_err(|error| error.to_string());
    };
    let refuse = |why: &str| format!("Invalid value {value} for configuration {name}: {why}");
    if config.kind == Kind::Int
        && value
            .trim()
            .parse::<i64>()
            .is_ok_and(|number| i32::try_from(number).is_err())
    {
        return Err(refuse("it is a whole number of at most 2147483647"));
    }
    match config.means {
        Means::Setting {
            name: setting, to_log, ..
        } => {
            let text = to_log(value.trim()).map_err(refuse)?;
            settings.set(setting, Some(&text)).map_err(|error| match error {
                SettingError::Value { wanted, .. } => refuse(&wanted),
                other => refuse(&other.to_string()),
            })
        }
        Means::Kept(check) => {
            check(value.trim()).map_err(refuse)?;
            let kept = settings.set(&label(config.name), Some(value.trim()));
            kept.map_err(|error| refuse(&error.to_string()))
        }
    }
}

/// Keeps what was set of the configurations that are not Kafka's.
pub(crate) fn keep_own(settings: &mut StreamSettings, before: &StreamSettings) {
    settings.entities = before.entities.or(settings.entities);
    settings.relaxed = before.relaxed;
    settings.flush_ms = before.flush_ms;
}

/// Puts values into a list, or takes them out of it.
pub(crate) fn change_list(settings: &mut StreamSettings, name: &str, values: &str, add: bool) -> Result<(), String> {
    let config = find(name)?;
    if config.kind != Kind::List {
        return Err(format!(
            "Config value append or subtract is not allowed for config key: {name}"
        ));
    }
    let now = value(settings, config, "").0;
    let mut list: Vec<&str> = now.split(',').filter(|item| !item.is_empty()).collect();
    for item in values.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        list.retain(|there| *there != item);
        if add {
            list.push(item);
        }
    }
    set(settings, name, Some(&list.join(",")))
}

/// The value of a configuration that nobody set.
pub(crate) fn default_of(config: &TopicConfig, log: &LogOptions) -> String {
    match config.name {
        "segment.bytes" => log.segment_bytes.to_string(),
        "max.message.bytes" => log.batch_bytes_max.to_string(),
        _ => config.default.to_owned(),
    }
}

/// Every configuration with its value. `started` is what the broker was started with.
pub(crate) fn all(settings: &StreamSettings, started: &StreamSettings, log: &LogOptions) -> Vec<Valued> {
    let mut all: Vec<Valued> = Vec::with_capacity(TOPIC_CONFIGS.len());
    for config in TOPIC_CONFIGS {
        let default = default_of(config, log);
        let (default, is_started) = value(started, config, &default);
        let (value, is_set) = value(settings, config, &default);
        all.push(Valued {
            config,
            is_set: is_set && !(is_started && value == default),
            value,
            default,
            is_started,
        });
    }
    all
}

/// Under which name the log keeps a configuration.
fn key(config: &TopicConfig) -> String {
    match config.means {
        Means::Setting { name, .. } => name.to_owned(),
        Means::Kept(_) => label(config.name),
    }
}

/// The value of a configuration, and whether it was set.
fn value(settings: &StreamSettings, config: &TopicConfig, default: &str) -> (String, bool) {
    let set = settings.get(&key(config)).map(|text| match config.means {
        Means::Setting { to_kafka, .. } => to_kafka(&text),
        Means::Kept(_) => text,
    });
    let is_set = set.is_some();
    let default = if default.is_empty() { config.default } else { default };
    (set.unwrap_or_else(|| default.to_owned()), is_set)
}

/// What the log says of its settings, by the names that Kafka has for them.
pub(crate) fn in_kafkas_words(message: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(is_word) {
        let length = rest[start..].find(|c| !is_word(c)).unwrap_or(rest.len() - start);
        let (before, word) = (&rest[..start], &rest[start..start + length]);
        let same = |config: &&TopicConfig| matches!(config.means, Means::Setting { name, .. } if name == word);
        words.push_str(before);
        words.push_str(TOPIC_CONFIGS.iter().find(same).map_or(word, |config| config.name));
        rest = &rest[start + length..];
    }
    words.push_str(rest);
    words
}

fn label(name: &str) -> String {
    format!("label.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets one configuration, reads it back, and looks at what the log is told.
    fn check(name: &str, given: &str, expected: Result<&str, &str>) {
        let mut settings = StreamSettings::default();
        match (set(&mut settings, name, Some(given)), expected) {
            (Ok(()), Ok(expected)) => {
                let valued = all(&settings, &StreamSettings::default(), &LogOptions::default());
                let found = valued.iter().find(|valued| valued.config.name == name).unwrap();
                assert!(found.is_set, "{name}={given}");
                assert_eq!(found.value, given, "{name}");
                let pairs: Vec<String> = settings
                    .pairs()
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                assert_eq!(pairs.join(" "), expected, "{name}={given}");
                set(&mut settings, name, None).unwrap();
                assert_eq!(settings, StreamSettings::default(), "{name}={given}");
            }
            (Err(error), Err(why)) => assert!(error.contains(why), "{name}={given}: {error}"),
            (found, expected) => panic!("{name}={given}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn kafkas_texts_become_the_logs_and_back() {
        check("retention.ms", "-1", Ok("retention_ms=forever"));
        check("retention.ms", "604800000", Ok("retention_ms=604800000"));
        check("retention.ms", "-2", Err("at least -1, which means without limit"));
        check("retention.ms", "forever", Err("at least -1"));
        check("retention.bytes", "-1", Ok("retention_bytes=forever"));
        check("cleanup.policy", "compact", Ok("cleanup=compact"));
        check("cleanup.policy", "compact,delete", Ok("cleanup=compact,delete"));
        check("cleanup.policy", "squeeze", Err("it is delete, compact, or both"));
        check("cleanup.policy", "none", Err("it is delete, compact, or both"));
        check("message.timestamp.type", "LogAppendTime", Ok("timestamps=append"));
        check("message.timestamp.type", "append", Err("CreateTime"));
        check("compression.type", "producer", Ok("compression=as sent"));
        check("compression.type", "uncompressed", Ok("compression=none"));
        check("compression.type", "zstd", Ok("compression=zstd"));
        check("compression.type", "none", Err("uncompressed"));
        check(
            "max.compaction.lag.ms",
            "9223372036854775807",
            Ok("compaction_lag_ms_max=forever"),
        );
        check("max.compaction.lag.ms", "7", Ok("compaction_lag_ms_max=7"));
        check("max.compaction.lag.ms", "forever", Err("at least 0"));
        check("min.cleanable.dirty.ratio", "0.25", Ok("dirty_ratio_min=0.25"));
        check("segment.bytes", "1048576", Ok("segment_bytes=1048576"));
        check("segment.bytes", "1048575", Err("1048576"));
        check("max.message.bytes", "2000000", Ok("batch_bytes_max=2000000"));
        check("headwater.durability", "relaxed", Ok("durability=relaxed"));
        check("min.insync.replicas", "2", Ok("label.min.insync.replicas=2"));
        check("min.insync.replicas", "0", Err("at least 1"));
        check("remote.storage.enable", "true", Err("false"));
        check("preallocate", "maybe", Err("true or false"));
        check("preallocate", "TRUE", Ok("label.preallocate=TRUE"));
        check("max.compaction.lag.ms", "0", Err("at least 1"));
        check("compression.gzip.level", "10", Err("from 1 to 9, or -1"));
        check("compression.gzip.level", "-1", Ok("label.compression.gzip.level=-1"));
        check("compression.lz4.level", "0", Err("from 1 to 17"));
        check("compression.zstd.level", "23", Err("from -131072 to 22"));
        check("segment.index.bytes", "3", Err("at least 4"));
        let replicas = "leader.replication.throttled.replicas";
        check(replicas, "x", Err("PARTITION:BROKER"));
        check(
            replicas,
            "0:1,1:1",
            Ok("label.leader.replication.throttled.replicas=0:1,1:1"),
        );
        check("retention.bytes", "-5", Err("at least -1, which means without limit"));
        check("index.interval.bytes", "2147483648", Err("at most 2147483647"));
        check("remote.copy.lag.ms", "-1", Ok("label.remote.copy.lag.ms=-1"));
        check("remote.copy.lag.bytes", "-2", Err("at least -1"));
        let no_dead_letters = "label.errors.deadletterqueue.group.enable=false";
        check("errors.deadletterqueue.group.enable", "false", Ok(no_dead_letters));
        check(
            "errors.deadletterqueue.group.enable",
            "true",
            Err("share groups put nothing aside"),
        );
        check(
            "max.decompressed.message.bytes",
            "1000000",
            Err("batches are not opened"),
        );
        check("message.format.version", "2.8", Err("Unknown topic config name"));
    }

    #[test]
    fn the_logs_words_become_kafkas() {
        let check = |said: &str, expected: &str| assert_eq!(in_kafkas_words(said), expected);
        check(
            "batch_bytes_max cannot be '9': it is at most 5",
            "max.message.bytes cannot be '9': it is at most 5",
        );
        check(
            "compaction_lag_ms_max is 1 and compaction_lag_ms_min 2",
            "max.compaction.lag.ms is 1 and min.compaction.lag.ms 2",
        );
        check("nothing of größe", "nothing of größe");
        check("", "");
    }

    #[test]
    fn lists_grow_and_shrink() {
        let mut settings = StreamSettings::default();
        let check = |settings: &StreamSettings, expected: &str| {
            let valued = all(settings, &StreamSettings::default(), &LogOptions::default());
            let found = valued
                .iter()
                .find(|valued| valued.config.name == "cleanup.policy")
                .unwrap();
            assert_eq!(found.value, expected);
        };
        change_list(&mut settings, "cleanup.policy", "compact", true).unwrap();
        check(&settings, "compact,delete");
        change_list(&mut settings, "cleanup.policy", "delete", false).unwrap();
        check(&settings, "compact");
        assert!(change_list(&mut settings, "retention.ms", "1", true).is_err());
    }
}
